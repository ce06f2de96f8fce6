"""The forms of a source model import. Forms only parse; the use cases decide."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, cast

from django import forms
from django.utils.html import format_html

from recognition.errors import GraftError
from recognition.models import Job
from recognition.zoo import import_jobs, registration


class SourceForm(forms.Form):
    """A weights file and its metadata."""

    file = forms.FileField(
        label='Weights file',
        help_text='A .safetensors file, or a .pth with a plain state_dict. '
        'It is checked in a separate process before it enters the zoo.',
        widget=forms.ClearableFileInput(attrs={'accept': ', '.join(registration.SUFFIXES)}),
    )
    architecture = forms.ChoiceField(
        required=False,
        choices=[
            ('', 'Detect from the file'),
            *((name, name) for name in registration.list_architectures()),
        ],
        help_text='The network that these weights belong to.',
    )
    name = forms.CharField(
        required=False,
        max_length=120,
        help_text='Letters, digits, - and _. Empty: the name of the file.',
    )
    title = forms.CharField(
        required=False, max_length=200, help_text='The name that people read, for example “Birds of Europe”.'
    )
    licence = forms.CharField(
        required=False,
        max_length=200,
        help_text='Of the weights, and of the training images if theirs is different.',
    )
    dataset = forms.CharField(
        required=False,
        max_length=200,
        label='Data set',
        help_text='The name of the data set, for example iNaturalist 2021.',
    )
    domain = forms.CharField(
        required=False,
        max_length=80,
        help_text='What the images show, in a word or two, for example metal parts.',
    )
    images = forms.IntegerField(
        min_value=1,
        max_value=2_000_000_000,
        label='Number of images',
        help_text='How many images the network was trained on.',
    )
    classes_file = forms.FileField(
        required=False, label='Class names, as a file', help_text='A JSON list, or one name on each line.'
    )
    classes = forms.CharField(
        required=False,
        strip=True,
        max_length=registration.MAX_CLASS_NAMES_BYTES,
        label='Class names, typed',
        widget=forms.Textarea(attrs={'rows': 4, 'spellcheck': 'false'}),
        help_text='One name on each line, in the order of the network’s outputs. Optional.',
    )
    side = forms.IntegerField(
        required=False,
        min_value=16,
        max_value=1024,
        label='Input side',
        help_text='Width and height in pixels. Empty: the usual size of the network.',
    )
    approved = forms.BooleanField(
        required=False,
        initial=True,
        label='Approve now',
        help_text='Trainings may start from it at once. Otherwise it waits for approval.',
    )

    def clean_classes_file(self) -> tuple[str, ...]:
        upload = self.cleaned_data['classes_file']
        if upload is None:
            return ()
        return _parse_class_names(upload.read(registration.MAX_CLASS_NAMES_BYTES + 1), upload.name)

    def clean_classes(self) -> tuple[str, ...]:
        return _parse_class_names(self.cleaned_data['classes'].encode(), 'The list')

    def to_metadata(self) -> registration.SourceMetadata:
        values: dict[str, Any] = self.cleaned_data
        texts = {
            name: values[name] for name in ('name', 'title', 'architecture', 'licence', 'dataset', 'domain')
        }
        return registration.SourceMetadata(
            **texts,
            images=values['images'],
            class_names=values['classes_file'] or values['classes'],
            side=values['side'] or 0,
            approved=values['approved'],
        )

    def show_error(self, field: str, message: str) -> None:
        """Show an error of a use case beside its field, or above the form."""
        self.add_error(field if field in self.fields else None, message)


class RetrySourceForm(SourceForm):
    """The same for a file that is stored already; another may be sent instead."""

    def make_file_optional(self, job: Job) -> None:
        if import_jobs.get_weights_path(job).exists():
            field = cast(forms.FileField, self.fields['file'])
            field.required = False
            # The admin does not escape help texts, and a file's name is text from outside.
            field.help_text = format_html(
                '{} is stored. Choose a file only to replace it.', import_jobs.read_spec(job).file_name
            )

    @classmethod
    def from_job(cls, job: Job) -> RetrySourceForm:
        """The form as it was sent."""
        metadata = import_jobs.read_spec(job).metadata
        form = cls(
            {
                **dataclasses.asdict(metadata),
                'side': metadata.side or '',
                'classes': _format_class_names(metadata.class_names),
            }
        )
        form.make_file_optional(job)
        form.full_clean()  # before show_error, which needs cleaned data
        return form


def _format_class_names(names: tuple[str, ...]) -> str:
    """As _parse_class_names reads them."""
    text = '\n'.join(names)
    # A name may contain a character that ends a line for splitlines.
    plain = text[:1] not in ('[', '{') and text.splitlines() == list(names)
    return text if plain else json.dumps(names)


def _parse_class_names(data: bytes, name: str) -> tuple[str, ...]:
    try:
        return registration.parse_class_names(data, name)
    except GraftError as error:
        raise forms.ValidationError(error.message) from error
