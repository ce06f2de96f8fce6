"""What an administrator says of a source model. Forms only parse; the use cases decide."""

from __future__ import annotations

from typing import Any

from django import forms

from recognition import source_files
from recognition.errors import GraftError


class SourceForm(forms.Form):
    """A weights file and what is known of it."""

    file = forms.FileField(
        label='Weights file',
        help_text='A .safetensors file, or a .pth that holds a plain state_dict. It is examined apart before anything is kept.',
        widget=forms.ClearableFileInput(attrs={'accept': ', '.join(source_files.SUFFIXES)}),
    )
    architecture = forms.ChoiceField(
        required=False,
        choices=[('', 'found out from the file'), *((name, name) for name in source_files.ARCHITECTURE_NAMES)],
        help_text='The network that these weights belong to.',
    )
    name = forms.CharField(
        required=False,
        max_length=120,
        help_text='Letters, digits, - and _; as the file is called when left empty.',
    )
    title = forms.CharField(required=False, max_length=200, help_text='How people read it: “Birds of Europe”.')
    licence = forms.CharField(required=False, max_length=200, help_text='Of the weights, and of the images when it differs.')
    dataset = forms.CharField(required=False, max_length=200, label='Data set', help_text='Its name: iNaturalist 2021.')
    domain = forms.CharField(required=False, max_length=80, help_text='What its images show, in a word or two: metal parts.')
    images = forms.IntegerField(
        min_value=1, max_value=2_000_000_000, label='Number of images', help_text='On how many it was trained.'
    )
    classes_file = forms.FileField(required=False, label='Class names, as a file', help_text='A JSON list, or one name a line.')
    classes = forms.CharField(
        required=False,
        strip=True,
        max_length=200_000,
        label='… or typed here',
        widget=forms.Textarea(attrs={'rows': 4, 'spellcheck': 'false'}),
        help_text='One name a line, in the order of the network’s outputs. They may be left out.',
    )
    side = forms.IntegerField(
        required=False,
        min_value=16,
        max_value=1024,
        label='Input side',
        help_text='Pixels; the network’s usual one when empty.',
    )
    approved = forms.BooleanField(
        required=False, initial=True, label='Approve it at once', help_text='Otherwise it waits until someone does.'
    )

    def clean_classes_file(self) -> tuple[str, ...]:
        given = self.cleaned_data['classes_file']
        if given is None:
            return ()
        return _class_names(given.read(source_files.LARGEST_NAMES + 1), given.name)

    def clean_classes(self) -> tuple[str, ...]:
        return _class_names(self.cleaned_data['classes'].encode(), 'The list')

    def said(self) -> source_files.Origins:
        values: dict[str, Any] = self.cleaned_data
        texts = {name: values[name] for name in ('name', 'title', 'architecture', 'licence', 'dataset', 'domain')}
        return source_files.Origins(
            **texts,
            images=values['images'],
            class_names=values['classes_file'] or values['classes'],
            side=values['side'] or 0,
            approved=values['approved'],
        )


def _class_names(data: bytes, name: str) -> tuple[str, ...]:
    try:
        return source_files.class_names_in(data, name)
    except GraftError as error:
        raise forms.ValidationError(error.message) from error
