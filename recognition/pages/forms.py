"""Forms of the pages. They only parse what was typed; the use cases check it."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from recognition.models import Project
from recognition.models.project import Role, Task
from recognition.training.detectors import list_choices

PLANS = [
    ('auto', 'Automatic, from the number of photos and their similarity'),
    ('linear', 'Only a new linear head'),
    ('last', 'The last layer'),
    ('several', 'The last groups of layers'),
    ('all', 'The whole network'),
]


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150, strip=True)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.EDITOR)


class KeyForm(forms.Form):
    name = forms.CharField(max_length=80, label='Purpose')
    scope = forms.ChoiceField(
        choices=[('predict', 'Predictions only'), ('manage', 'Everything I may do')], initial='predict'
    )


class TrainingOptionsForm(forms.Form):
    """Options of a training that both tasks have. A plain Train button sends no field at all: then all
    defaults hold."""

    # These take the whole width of the form on the page.
    wide_fields: ClassVar[tuple[str, ...]] = (
        'source',
        'plan',
        'detector',
        'flip',
        'instant_only',
        'rates',
        'refit',
    )
    field_order = ['source', 'plan', 'detector', 'epochs', 'held_out', 'seed']

    source = forms.ChoiceField(label='Base model', initial='auto')
    seed = forms.IntegerField(min_value=0, max_value=2**31 - 1, initial=0, label='Random seed')

    def __init__(self, data: Any = None, *, sources: list[tuple[str, str]]) -> None:
        super().__init__(data)
        for field in self.fields.values():
            field.required = False
        field = self.fields['source']
        assert isinstance(field, forms.ChoiceField)
        field.choices = [('auto', 'Automatic (highest P2L score)'), *sources]

    def get_options(self) -> dict[str, Any]:
        """The options that differ from the defaults, as start_training takes them.

        An unticked checkbox is not sent, so checkboxes count only when the other options were sent with them.
        """
        sent_options = 'source' in self.data
        options = {}
        for name, value in self.cleaned_data.items():
            field = self.fields[name]
            is_sent = sent_options or not isinstance(field, forms.BooleanField)
            if is_sent and value not in (None, '', {}) and value != field.initial:
                options[name] = value
        return options

    def get_first_error(self) -> str:
        field, errors = next(iter(self.errors.items()))
        label = self.fields[field].label if field in self.fields else field
        return f'{label or field.capitalize()}: {errors[0]}'


class ClassifierTrainingForm(TrainingOptionsForm):
    plan = forms.ChoiceField(label='Layers to finetune', choices=PLANS, initial='auto')
    epochs = forms.IntegerField(
        min_value=0, max_value=1000, initial=0, help_text='0: chosen from the number of photos'
    )
    crop = forms.FloatField(
        min_value=0.05,
        max_value=1,
        initial=0.6,
        label='Random crop',
        help_text='smallest share of the area; 1: no crops',
    )
    jitter = forms.FloatField(
        min_value=0, max_value=1, initial=0.2, label='Colour jitter', help_text='0: none'
    )
    lighting = forms.FloatField(
        min_value=0, max_value=1, initial=0, label='PCA lighting', help_text='0: none'
    )
    flip = forms.BooleanField(initial=True, label='Mirror photos left to right at random')
    instant_only = forms.BooleanField(initial=False, label='Stop after the instant model (no finetuning)')
    rates = forms.CharField(
        max_length=2_000,
        label='Learning rates',
        widget=forms.Textarea(attrs={'rows': 2, 'placeholder': 'head: 0.01', 'spellcheck': 'false'}),
        help_text='One layer group per line. 0 freezes a group; groups that you leave out get the automatic rate.',
    )

    def clean_rates(self) -> dict[str, float]:
        rates: dict[str, float] = {}
        for line in self.cleaned_data['rates'].splitlines():
            if line.strip():
                group, _, value = line.partition(':')
                try:
                    rates[group.strip()] = float(value)
                except ValueError:
                    raise forms.ValidationError(
                        f'“{line.strip()}” does not have the form “group: learning rate”.'
                    ) from None
        return rates


class DetectorTrainingForm(TrainingOptionsForm):
    detector = forms.ChoiceField(label='Detector', choices=list_choices(), initial='auto')
    held_out = forms.FloatField(
        min_value=0.1,
        max_value=0.9,
        initial=0.3,
        label='Held-out photos',
        help_text='share of the photos used for testing',
    )
    refit = forms.BooleanField(initial=True, label='After testing, train again on all photos')


def choose_training_form(project: Project) -> type[TrainingOptionsForm]:
    return DetectorTrainingForm if project.task == Task.DETECTION else ClassifierTrainingForm
