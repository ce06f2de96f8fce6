"""Forms of the pages. They only parse what was typed; the use cases check it."""

from __future__ import annotations

from typing import Any

from django import forms

from recognition.models.project import Role
from recognition.training.detectors import list_choices
from recognition.training.start import TrainingOption, list_training_options

# What an option of a training is called on the page, in the order of the form; options that are not here
# are for the API only.
LABELS = {
    'source': 'Base model',
    'plan': 'Layers to finetune',
    'detector': 'Detector',
    'epochs': 'Epochs',
    'held_out': 'Held-out photos',
    'seed': 'Random seed',
    'crop': 'Random crop',
    'jitter': 'Colour jitter',
    'lighting': 'PCA lighting',
    'flip': 'Mirror photos left to right at random',
    'instant_only': 'Stop after the instant model (no finetuning)',
    'rates': 'Learning rates',
    'refit': 'After testing, train again on all photos',
}
HELP_TEXTS = {
    'epochs': '0: chosen from the number of photos',
    'held_out': 'share of the photos used for testing',
    'crop': 'smallest share of the area; 1: no crops',
    'jitter': '0: none',
    'lighting': '0: none',
    'rates': 'One layer group per line. 0 freezes a group; groups that you leave out get the automatic rate.',
}
PLAN_LABELS = {
    'auto': 'Automatic, from the number of photos and their similarity',
    'linear': 'Only a new linear head',
    'last': 'The last layer',
    'several': 'The last groups of layers',
    'all': 'The whole network',
}


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150, strip=True)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.EDITOR)


class KeyForm(forms.Form):
    name = forms.CharField(max_length=80, label='Purpose')
    scope = forms.ChoiceField(
        choices=[('predict', 'Predictions only'), ('manage', 'Everything I may do')], initial='predict'
    )


class TrainingForm(forms.Form):
    """Options of a training, with the limits, choices and defaults of the table of options.

    A plain Train button sends no field at all: then all defaults hold.
    """

    # These take the whole width of the form on the page.
    wide_fields = ('source', 'plan', 'detector', 'flip', 'instant_only', 'rates', 'refit')

    def __init__(self, data: Any = None, *, task: str, sources: list[tuple[str, str]]) -> None:
        super().__init__(data)
        options = {option.name: option for option in list_training_options(task)}
        for name in LABELS:
            if name in options:
                self.fields[name] = make_form_field(options[name], sources)

    def clean(self) -> dict[str, object]:
        """Read the learning rates line by line.

        Their limits are checked with the other options when the training starts.
        """
        cleaned = self.cleaned_data
        rates: dict[str, float] = {}
        for line in filter(None, map(str.strip, cleaned.get('rates', '').splitlines())):
            group, _, value = line.partition(':')
            try:
                rates[group.strip()] = float(value)
            except ValueError:
                self.add_error('rates', f'“{line}” does not have the form “group: learning rate”.')
                return cleaned
        return {**cleaned, 'rates': rates} if 'rates' in cleaned else cleaned

    def get_options(self) -> dict[str, object]:
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


def make_form_field(option: TrainingOption, sources: list[tuple[str, str]]) -> forms.Field:
    """The form field of one option.

    `sources`: names of the source models that the user may choose, and their titles.
    """
    common: dict[str, Any] = {
        'required': False,
        'label': LABELS[option.name],
        'help_text': HELP_TEXTS.get(option.name, ''),
        'initial': option.default,
    }
    if option.name == 'source':
        return forms.ChoiceField(choices=[('auto', 'Automatic (highest P2L score)'), *sources], **common)
    if option.name == 'detector':
        return forms.ChoiceField(choices=list_choices(), **common)
    if option.name == 'rates':
        placeholder = {'rows': 2, 'placeholder': 'head: 0.01', 'spellcheck': 'false'}
        common['initial'] = ''
        return forms.CharField(max_length=2_000, widget=forms.Textarea(attrs=placeholder), **common)
    if option.choices:
        labels = PLAN_LABELS if option.name == 'plan' else {}
        choices = [(choice, labels.get(choice, choice)) for choice in option.choices]
        return forms.ChoiceField(choices=choices, **common)
    if option.kind == 'boolean':
        return forms.BooleanField(**common)
    if option.kind == 'integer':
        low, high = (None if limit is None else int(limit) for limit in (option.low, option.high))
        return forms.IntegerField(min_value=low, max_value=high, **common)
    return forms.FloatField(min_value=option.low, max_value=option.high, **common)
