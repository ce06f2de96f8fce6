"""The source that every installation starts with, from an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from recognition.errors import ConflictError
from recognition.management import bootstrap
from recognition.models import SourceModel
from recognition.zoo import catalog, downloads, registration, signature_jobs, subprocess_call
from tests.support.weights_files import save_lenet
from transfer.zoo.weights import file_digest

pytestmark = pytest.mark.django_db
SOURCE = 'efficientnet_lite0_imagenet'
# and whether SOURCE learned from it
DATA_SETS = {'ImageNet-1k': True, 'imagenet': True, 'ImageNet-22k': False, '': False}


@pytest.fixture
def packaged(settings):
    settings.PACKAGED_SOURCES = [SOURCE]


def test_it_is_registered_once_and_what_was_removed_is_not_put_back(packaged, settings):
    assert downloads.install_packaged() == [f'The source model {SOURCE} is in the zoo.']
    row = catalog.find(SOURCE)
    assert (row.status, row.classes, row.images, row.class_names[0]) == ('usable', 1000, 1_281_167, 'tench')
    assert [path.name for path in Path(settings.ZOO_DIR).iterdir()] == [Path(row.weights).name]
    assert downloads.install_packaged() == []
    catalog.remove(SOURCE)
    assert downloads.install_packaged() == []
    assert catalog.find(SOURCE).status == 'removed'
    catalog.restore(SOURCE)
    assert [source.name for source in catalog.list_sources(None)] == [SOURCE]


@pytest.mark.usefixtures('in_this_process')
def test_a_file_that_was_lost_is_put_back(packaged, settings):
    downloads.install_packaged()
    row = catalog.find(SOURCE)
    Path(row.weights).unlink()
    assert downloads.install_packaged() == [f'The source model {SOURCE} is in the zoo.']
    (file,) = Path(settings.ZOO_DIR).iterdir()
    row.refresh_from_db()
    assert (row.weights, file_digest(file)) == (str(file), row.digest)


@pytest.mark.usefixtures('in_this_process')
def test_of_two_that_start_at_once_one_registers_it_and_neither_fails(packaged, settings, monkeypatch):
    real = subprocess_call.call

    def overtaken(module, request, **options):
        monkeypatch.setattr(subprocess_call, 'call', real)
        if module == 'transfer.zoo.fetch.package':
            downloads.install_packaged()
        return real(module, request, **options)

    monkeypatch.setattr(subprocess_call, 'call', overtaken)
    assert downloads.install_packaged() == [f'The source model {SOURCE} is in the zoo.']
    assert [path.name for path in Path(settings.ZOO_DIR).iterdir()] == [
        Path(catalog.find(SOURCE).weights).name
    ]


@pytest.mark.usefixtures('in_this_process')
def test_a_full_disk_costs_nothing_but_the_source(packaged, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('shutil.copyfile', full)
    assert downloads.install_packaged() == [
        f'The source model {SOURCE} could not be installed: [Errno 28] No space left on device'
    ]


@pytest.mark.parametrize('door', ['first command', 'zoo sync', 'serve'])
def test_every_way_into_an_installation_brings_it(door, monkeypatch, settings, tmp_path):
    settings.STATIC_ROOT = tmp_path / 'static'
    asked = []
    monkeypatch.setattr(downloads, 'install_packaged', lambda: asked.append(door) or [])
    if door == 'zoo sync':
        call_command('zoo', 'sync')
    elif door == 'serve':
        bootstrap.prepare()
    else:
        monkeypatch.setattr(MigrationExecutor, 'migration_plan', lambda self, targets: ['a first migration'])
        monkeypatch.setattr(connection, 'vendor', 'sqlite')
        monkeypatch.setattr(bootstrap, 'call_command', lambda *args, **options: None)
        bootstrap.migrate_local_database()
    assert asked == [door]


@pytest.mark.usefixtures('in_this_process')
class TestReference:
    """Where it is, P2L looks through it: ImageNet is compared by what its own last norm tells of it."""

    @pytest.fixture
    def unpacked(self, packaged, settings):
        settings.P2L_REFERENCE = ''
        catalog.sync_starter()
        assert catalog.get_reference().name == 'graft-generic'
        downloads.install_packaged()
        return catalog.find(SOURCE)

    def test_it_is_the_reference_and_every_source_that_ships_is_signed_under_it(self, unpacked):
        assert catalog.get_reference().name == SOURCE
        assert {len(source.signature) for source in catalog.list_sources(None)} == {1280}
        with pytest.raises(ConflictError, match='is the reference model of P2L'):
            catalog.retire(SOURCE)

    @pytest.mark.parametrize(
        ('dataset', 'known'),
        [('ImageNet-1k', True), ('imagenet', True), ('ImageNet-22k', False), ('', False)],
    )
    def test_another_network_of_its_data_set_is_signed_as_it_is(self, unpacked, tmp_path, dataset, known):
        path = save_lenet(tmp_path / 'lenet5.pth')
        row = registration.import_source(path, registration.SourceMetadata(dataset=dataset, images=1_281_167))
        assert row.signatures == ({unpacked.digest: unpacked.signatures[unpacked.digest]} if known else {})

    def test_one_that_was_there_before_is_signed_at_the_next_start(self, unpacked, tmp_path):
        row = registration.import_source(
            save_lenet(tmp_path / 'lenet5.pth'), registration.SourceMetadata(dataset='other', images=9)
        )
        SourceModel.objects.filter(pk=row.pk).update(dataset='ImageNet-1k')
        assert signature_jobs.start_missing(None).jobs == ()
        row.refresh_from_db()
        assert row.signatures == {unpacked.digest: unpacked.signatures[unpacked.digest]}

    def test_one_of_an_earlier_version_gets_its_signature_at_the_next_start(self, unpacked):
        SourceModel.objects.filter(pk=unpacked.pk).update(signatures={})
        downloads.install_packaged()
        assert catalog.get_reference().signature == tuple(unpacked.signatures[unpacked.digest])
        assert catalog.find(SOURCE).weights == unpacked.weights

    def test_only_what_comes_with_graft_and_was_not_removed_is_looked_through(self, unpacked):
        for changes in ({'origin': 'promoted'}, {'origin': 'starter', 'removed_at': timezone.now()}):
            SourceModel.objects.filter(pk=unpacked.pk).update(**changes)
            assert catalog.get_reference().name == 'graft-generic'

    def test_data_sets_of_other_scripts_are_told_apart(self, unpacked, tmp_path):
        SourceModel.objects.filter(pk=unpacked.pk).update(dataset='写真 2024')
        assert catalog.get_dataset_signatures('動物 2024') == {}
        assert catalog.get_dataset_signatures('写真2024').keys() == {unpacked.digest}

    def test_without_its_file_the_starter_zoo_serves(self, unpacked):
        Path(unpacked.weights).unlink()
        assert catalog.get_reference().name == 'graft-generic'
        assert catalog.get_reference_digest() == catalog.get_reference().digest


@pytest.mark.usefixtures('in_this_process')
def test_a_source_that_no_package_brings_is_refused_with_those_that_there_are(settings):
    settings.PACKAGED_SOURCES = ['owls']
    (refusal,) = downloads.install_packaged()
    assert refusal.startswith(
        "The source model owls could not be installed: no package brings a source called 'owls'; there are "
    )
    assert SOURCE in refusal
    assert not SourceModel.objects.exists()
