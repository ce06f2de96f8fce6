"""The rows of source models: synchronised, listed with their signatures, retired and removed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from django.core.management import CommandError, call_command
from django.utils import timezone

from recognition.errors import ConflictError, InvalidInputError, NotFoundError, NotReadyError
from recognition.models import AuditEvent, Job, SourceModel, TrainedModel
from recognition.zoo import catalog
from tests.support.weights_files import save_lenet, write_starter_model
from transfer.data.decode import decode
from transfer.zoo.build.sign_starter import sign_starter
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import file_digest, read_starter_models

pytestmark = pytest.mark.django_db


class TestStarter:
    def test_sync_registers_what_the_json_files_say(self, starter):
        assert catalog.sync_starter() == ('graft-generic', 'graft-other')
        row = SourceModel.objects.get(name='graft-other')
        assert (row.architecture, row.classes, row.class_names, row.images) == (
            'lenet5',
            3,
            ['a', 'b', 'c'],
            90,
        )
        assert (row.side, row.mean, row.dataset, row.origin) == (32, [0.5] * 3, 'tints', 'starter')
        assert row.digest == file_digest(starter / 'graft-other.safetensors')

    def test_sync_again_updates_rows_and_forgets_neither_signatures_nor_retirement(self, starter):
        catalog.sync_starter()
        SourceModel.objects.filter(name='graft-other').update(signatures={'another': [1.0]})
        catalog.retire('graft-other')
        write_starter_model(starter, 'graft-other', images=95, signatures={'ref': [0.5, 2]})
        catalog.sync_starter()
        row = SourceModel.objects.get(name='graft-other')
        assert row.images == 95
        assert row.signatures == {'another': [1.0], 'ref': [0.5, 2]}
        assert row.retired_at is not None
        assert SourceModel.objects.count() == 2

    @pytest.mark.parametrize('damage', ['{', '[]', '{"name": "x"}'])
    def test_a_damaged_json_file_is_named(self, starter, damage):
        (starter / 'graft-other.json').write_text(damage)
        with pytest.raises(InvalidInputError, match=r'graft-other\.json cannot be read'):
            catalog.sync_starter()

    def test_a_json_file_without_weights_is_named(self, starter):
        (starter / 'graft-other.safetensors').unlink()
        with pytest.raises(InvalidInputError, match=r'graft-other\.json has no weights'):
            catalog.sync_starter()

    def test_signing_writes_the_mean_feature_under_the_references_digest(self, starter, photos):
        reference = read_starter_models(starter)[0].to_spec()
        signed = sign_starter(starter / 'graft-other.json', reference, photos.parent)
        catalog.sync_starter()
        source = {source.name: source for source in catalog.list_sources(None)}['graft-other']
        assert (signed.images, len(source.signature)) == (6, 84)
        assert source.signature == signed.mean
        model, rows = load(reference), []
        for path in photos.rglob('*.jpg'):
            pixels = (torch.from_numpy(decode(path, 32).copy()).permute(2, 0, 1)[None] / 255 - 0.5) / 0.2
            rows.append(architecture('lenet5').features(model, pixels).detach().numpy())
        np.testing.assert_allclose(source.signature, np.concatenate(rows).mean(0), atol=1e-5)


class TestSources:
    def test_retired_sources_and_those_whose_file_is_gone_are_left_out(self, starter, alice):
        write_starter_model(starter, 'graft-third')
        catalog.sync_starter()
        catalog.retire('graft-other')
        (starter / 'graft-third.safetensors').unlink()
        assert [source.name for source in catalog.list_sources(alice)] == ['graft-generic']
        catalog.restore('graft-other')
        assert [source.name for source in catalog.list_sources(alice)] == ['graft-generic', 'graft-other']

    def test_signatures_are_those_under_the_present_reference(self, starter, settings, alice):
        catalog.sync_starter()
        generic, other = (SourceModel.objects.get(name=name) for name in ('graft-generic', 'graft-other'))
        SourceModel.objects.filter(pk=other.pk).update(
            signatures={generic.digest: [1.0, 2.0], other.digest: [3.0]}
        )
        assert [source.signature for source in catalog.list_sources(alice)] == [(), (1.0, 2.0)]
        settings.P2L_REFERENCE = 'graft-other'
        assert [source.signature for source in catalog.list_sources(alice)] == [(), (3.0,)]
        assert catalog.get_reference().signature == (3.0,)

    def test_a_source_loads(self, starter, alice):
        catalog.sync_starter()
        assert load(catalog.get_reference())(torch.zeros(1, 3, 32, 32)).shape == (1, 3)

    def test_without_a_reference_the_refusal_says_what_to_do(self, settings):
        settings.P2L_REFERENCE = 'nowhere'
        with pytest.raises(NotReadyError, match=r"lacks the reference model 'nowhere'.*zoo sync"):
            catalog.get_reference()


class TestRemove:
    def add(self, settings, name: str = 'mine') -> SourceModel:
        Path(settings.ZOO_DIR).mkdir(exist_ok=True)
        path = save_lenet(Path(settings.ZOO_DIR) / f'{name}.pth')
        return SourceModel.objects.create(
            name=name,
            architecture='lenet5',
            weights=str(path),
            digest=file_digest(path),
            size=1,
            mean=[0.5] * 3,
            std=[0.2] * 3,
            images=9,
            classes=3,
            origin='imported',
            approved_at=timezone.now(),
        )

    def test_a_source_that_nothing_names_goes_with_its_file(self, settings, alice):
        row = self.add(settings)
        assert catalog.remove('mine', alice) is True
        assert not SourceModel.objects.exists()
        assert not Path(row.weights).exists()
        assert list(AuditEvent.objects.values_list('action', flat=True)) == ['remove source', 'retire source']

    def test_a_source_that_a_model_names_is_only_retired(self, settings, project, alice):
        row = self.add(settings)
        model = TrainedModel.objects.create(
            project=project,
            version=1,
            artifact='a',
            digest='d',
            labels=['a', 'b'],
            source_name='mine',
            images=9,
        )
        assert catalog.remove('mine') is False
        assert Path(row.weights).exists()
        assert catalog.list_sources(alice) == ()
        model.delete()
        assert catalog.remove('mine') is True

    def test_a_source_stays_while_a_training_may_choose_it(self, settings, project):
        row = self.add(settings)
        job = Job.objects.create(project=project)
        assert catalog.remove('mine') is False
        assert Path(row.weights).exists()
        job.cancel_queued()
        assert catalog.remove('mine') is True

    def test_what_ships_is_only_retired_and_the_reference_not_even_that(self, starter):
        catalog.sync_starter()
        assert catalog.remove('graft-other') is False
        assert (starter / 'graft-other.safetensors').exists()
        with pytest.raises(ConflictError, match='is the reference model'):
            catalog.remove('graft-generic')
        assert SourceModel.objects.get(name='graft-generic').retired_at is None

    def test_what_is_not_there_is_not_found(self):
        with pytest.raises(NotFoundError, match="no source model 'ghost'"):
            catalog.remove('ghost')


class TestCommand:
    @pytest.mark.usefixtures('in_this_process')
    def test_it_lists_imports_and_removes(self, tmp_path, starter, capsys):
        path = save_lenet(tmp_path / 'lenet5_tiny.pth', seed=9)
        call_command('zoo', 'list')
        call_command('zoo', 'sync')
        call_command('zoo', 'import', str(path), '--images', '12', '--dataset', 'tiny')
        call_command('zoo', 'list')
        call_command('zoo', 'remove', 'lenet5_tiny')
        call_command('zoo', 'remove', 'graft-other')
        said = capsys.readouterr().out
        assert 'The zoo is empty' in said
        assert '2 source models of the starter zoo: graft-generic, graft-other' in said
        assert any(
            line.split()[:5] == ['lenet5_tiny', 'lenet5', '32', '3', '12'] for line in said.splitlines()
        )
        assert 'lenet5_tiny was removed' in said
        assert 'graft-other was removed. Its file is kept' in said

    def test_it_names_every_architecture(self, capsys):
        call_command('zoo', 'list', '--architectures')
        assert {'resnet18', 'lenet5', 'vit_b_16'} <= set(capsys.readouterr().out.split())

    def test_a_refusal_is_one_line(self, tmp_path):
        with pytest.raises(CommandError, match=r'^There is no file') as refusal:
            call_command('zoo', 'import', str(tmp_path / 'none.pth'))
        assert '\n' not in str(refusal.value)
