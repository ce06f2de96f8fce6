"""A weights file becomes a source model: inspected, copied and registered, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from recognition.errors import ConflictError, InvalidInputError
from recognition.models import AuditEvent, SourceModel
from recognition.zoo import catalog, registration
from tests.support.import_jobs import list_zoo_file_names
from tests.support.weights_files import save_lenet
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures('in_this_process')
class TestImport:
    def test_a_file_is_examined_copied_and_registered(self, tmp_path, settings, alice):
        path = save_lenet(tmp_path / 'lenet5_digits.pth')
        (tmp_path / 'lenet5_digits.classes.json').write_text('["one", "two", "three"]')
        row = registration.import_source(
            path, registration.SourceMetadata(dataset='digits', images=60, licence='MIT'), alice
        )
        assert (row.name, row.architecture, row.classes, row.side, row.origin) == (
            'lenet5_digits',
            'lenet5',
            3,
            32,
            'imported',
        )
        assert row.class_names == ['one', 'two', 'three']
        path.unlink()
        (source,) = catalog.list_sources(alice)
        assert load(source) is not None
        assert list_zoo_file_names(settings) == [Path(row.weights).name]
        assert AuditEvent.objects.get(action='add source').user == alice

    def test_its_own_images_sign_it_and_count(self, tmp_path, starter, photos, alice):
        catalog.sync_starter()
        path = save_lenet(tmp_path / 'lenet5.safetensors', seed=9)
        row = registration.import_source(
            path, registration.SourceMetadata(name='mine', images_from=photos), alice
        )
        source = next(source for source in catalog.list_sources(alice) if source.name == 'mine')
        assert row.images == 6
        assert len(source.signature) == 84
        assert min(source.signature) >= 0 < max(source.signature)

    @pytest.mark.parametrize('damage', ['code', 'nan', 'classes', 'images'])
    def test_what_is_wrong_inside_is_refused_and_nothing_is_kept(self, tmp_path, settings, damage):
        path, said = (
            tmp_path / 'lenet5.pth',
            registration.SourceMetadata(images=0 if damage == 'images' else 5),
        )
        state = architecture('lenet5').build(3).state_dict()
        reason = {
            'code': 'holds code',
            'nan': 'NaN',
            'classes': '2 class names .* 3 classes',
            'images': 'how many images',
        }[damage]
        if damage == 'code':
            state = {'fc': Malice()}
        if damage == 'nan':
            state['features.0.bias'][0] = float('nan')
        if damage == 'classes':
            said = registration.SourceMetadata(images=5, class_names=('a', 'b'))
        torch.save(state, path)
        with pytest.raises(InvalidInputError, match=reason):
            registration.import_source(path, said)
        assert list_zoo_file_names(settings) == []
        assert not SourceModel.objects.exists()

    @pytest.mark.parametrize(
        ('name', 'said', 'reason', 'field'),
        [
            ('missing.pth', {}, 'no file', 'file'),
            ('lenet5.exe', {}, r'must end in \.safetensors', 'file'),
            ('lenet5.pth', {'architecture': 'lenet6'}, "no architecture 'lenet6'", 'architecture'),
            ('lenet5.pth', {'name': '../up'}, 'letters, digits', 'name'),
            ('lenet5.pth', {'name': 'graft-mine'}, 'reserved for sources that ship', 'name'),
            ('lenet5.pth', {'images_from': Path('/nowhere')}, 'no folder /nowhere', 'images_from'),
        ],
    )
    def test_what_is_said_wrongly_is_refused_with_its_field(
        self, tmp_path, settings, name, said, reason, field
    ):
        if name != 'missing.pth':
            save_lenet(tmp_path / name)
        with pytest.raises(InvalidInputError, match=reason) as refusal:
            registration.import_source(tmp_path / name, registration.SourceMetadata(images=5, **said))
        assert refusal.value.field == field
        assert list_zoo_file_names(settings) == []

    def test_the_longest_architecture_that_begins_the_files_name_counts(self, tmp_path):
        # LeNet's weights: so the refusal names the choice
        path = save_lenet(tmp_path / 'vgg16_bn_flowers.pth')
        with pytest.raises(InvalidInputError, match=r'not of vgg16_bn: .*They fit lenet5'):
            registration.import_source(path, registration.SourceMetadata(images=5))

    def test_the_same_content_and_the_same_name_are_conflicts(self, starter, tmp_path):
        catalog.sync_starter()
        SourceModel.objects.filter(name='graft-other').update(name='taken')
        twin = tmp_path / 'lenet5.safetensors'
        twin.write_bytes((starter / 'graft-other.safetensors').read_bytes())
        with pytest.raises(ConflictError, match='in the zoo already, as taken'):
            registration.import_source(twin, registration.SourceMetadata(images=5))
        with pytest.raises(ConflictError, match='called taken already'):
            registration.import_source(
                save_lenet(twin, seed=5), registration.SourceMetadata(name='taken', images=5)
            )

    @pytest.mark.parametrize('content', ['{"a": 1}', '[1]', '['])
    def test_class_names_must_be_a_list_of_names(self, tmp_path, content):
        (tmp_path / 'c.json').write_text(content)
        with pytest.raises(InvalidInputError, match=r'c\.json'):
            registration.read_class_names(tmp_path / 'c.json')


class Malice:
    def __reduce__(self):
        return (os.system, ('touch executed',))
