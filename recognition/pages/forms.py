"""What people type. Forms only parse; the use cases decide."""

from __future__ import annotations

from typing import Any

from django import forms

from recognition.models import Project
from recognition.models.project import Role, Task

PLANS = [
    ('auto', 'Automatic (by size and similarity)'),
    ('linear', 'Only a linear head'),
    ('last', 'The last layer'),
    ('several', 'The last groups of layers'),
    ('all', 'The whole network'),
]


DETECTORS = [
    ('auto', 'Automatic'),
    ('fast-rcnn', 'Fast R-CNN: a photo is looked at once'),
    ('faster-rcnn', 'Faster R-CNN: proposes its own regions; needs torch to answer'),
    ('rcnn', 'R-CNN: every region is looked at alone, slow'),
]


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150, strip=True)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.EDITOR)


class KeyForm(forms.Form):
    name = forms.CharField(max_length=80, label='What is it for?')
    scope = forms.ChoiceField(
        choices=[('predict', 'Predict only'), ('manage', 'Everything I may do')], initial='predict'
    )


class TrainingForm(forms.Form):
    """The folded options of a training. `options` gives only what differs from Graft's own choice."""

    source = forms.ChoiceField(label='Start from', initial='auto')
    plan = forms.ChoiceField(label='Layers that learn', choices=PLANS, initial='auto')
    epochs = forms.IntegerField(min_value=0, max_value=500, initial=0, help_text='0: by the size of the set')
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0)
    crop = forms.FloatField(
        min_value=0.05, max_value=1, initial=0.6, label='Smallest crop', help_text='1: no crops'
    )
    jitter = forms.FloatField(
        min_value=0, max_value=1, initial=0.2, label='Colour jitter', help_text='0: none'
    )
    lighting = forms.FloatField(
        min_value=0, max_value=1, initial=0, label='PCA lighting', help_text='0: none'
    )
    flip = forms.BooleanField(required=False, initial=True, label='Mirror images left to right')
    instant_only = forms.BooleanField(required=False, initial=False, label='Stop after the instant model')
    rates = forms.CharField(
        required=False,
        max_length=2_000,
        label='Learning rates',
        widget=forms.Textarea(attrs={'rows': 2, 'placeholder': 'head: 0.01', 'spellcheck': 'false'}),
        help_text='One layer group a line; the others follow the plan. 0 freezes a group.',
    )

    def __init__(self, data: Any = None, *, sources: list[tuple[str, str]]) -> None:
        super().__init__(data)
        field = self.fields['source']
        assert isinstance(field, forms.ChoiceField)
        field.choices = [('auto', 'Automatic (P2L score)'), *sources]
        for name in ('source', 'plan', 'epochs', 'seed', 'crop', 'jitter', 'lighting'):
            self.fields[name].required = False

    def clean_rates(self) -> dict[str, float]:
        rates: dict[str, float] = {}
        for line in self.cleaned_data['rates'].splitlines():
            if line.strip():
                group, _, value = line.partition(':')
                try:
                    rates[group.strip()] = float(value)
                except ValueError:
                    raise forms.ValidationError(f'“{line.strip()}” is not of the form group: rate') from None
        return rates

    def options(self) -> dict[str, Any]:
        """The choices as training.start takes them. A plain Train button sends none of the fields: then there are none."""
        chosen = {name: value for name, value in self.cleaned_data.items() if value not in (None, '', {})}
        booleans = {'flip', 'instant_only'}
        advanced = 'plan' in self.data
        return {
            name: value
            for name, value in chosen.items()
            if (advanced or name not in booleans) and value != self.fields[name].initial
        }


class DetectorForm(forms.Form):
    """The folded options of a detector's training, likewise."""

    source = forms.ChoiceField(label='Start from', initial='auto', required=False)
    detector = forms.ChoiceField(label='Detector', choices=DETECTORS, initial='auto', required=False)
    held_out = forms.FloatField(
        min_value=0.1,
        max_value=0.9,
        initial=0.3,
        required=False,
        label='Held out',
        help_text='share of the photos to measure on',
    )
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0, required=False)
    refit = forms.BooleanField(
        required=False, initial=True, label='Once measured, learn anew from all photos'
    )

    def __init__(self, data: Any = None, *, sources: list[tuple[str, str]]) -> None:
        super().__init__(data)
        field = self.fields['source']
        assert isinstance(field, forms.ChoiceField)
        field.choices = [('auto', 'Automatic (P2L score)'), *sources]

    def options(self) -> dict[str, Any]:
        """As of a TrainingForm."""
        advanced = 'detector' in self.data
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if (advanced or name != 'refit')
            and value not in (None, '')
            and value != self.fields[name].initial
        }


def training_form(project: Project) -> type[TrainingForm] | type[DetectorForm]:
    return DetectorForm if project.task == Task.DETECTION else TrainingForm
