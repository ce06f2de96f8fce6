"""What an administrator says of a source model. Forms only parse; the use cases decide."""

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
    """A weights file and what is known of it."""

    file = forms.FileField(
        label='Weights file',
        help_text='A .safetensors file, or a .pth that holds a plain state_dict. It is examined apart before it enters the zoo.',
        widget=forms.ClearableFileInput(attrs={'accept': ', '.join(registration.SUFFIXES)}),
    )
    architecture = forms.ChoiceField(
        required=False,
        choices=[
            ('', 'found out from the file'),
            *((name, name) for name in registration.ARCHITECTURE_NAMES),
        ],
        help_text='The network that these weights belong to.',
    )
    name = forms.CharField(
        required=False,
        max_length=120,
        help_text='Letters, digits, - and _; as the file is called when left empty.',
    )
    title = forms.CharField(
        required=False, max_length=200, help_text='How people read it: “Birds of Europe”.'
    )
    licence = forms.CharField(
        required=False, max_length=200, help_text='Of the weights, and of the images when it differs.'
    )
    dataset = forms.CharField(
        required=False, max_length=200, label='Data set', help_text='Its name: iNaturalist 2021.'
    )
    domain = forms.CharField(
        required=False, max_length=80, help_text='What its images show, in a word or two: metal parts.'
    )
    images = forms.IntegerField(
        min_value=1,
        max_value=2_000_000_000,
        label='Number of images',
        help_text='On how many it was trained.',
    )
    classes_file = forms.FileField(
        required=False, label='Class names, as a file', help_text='A JSON list, or one name a line.'
    )
    classes = forms.CharField(
        required=False,
        strip=True,
        max_length=registration.LARGEST_NAMES,
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
        required=False,
        initial=True,
        label='Approve it at once',
        help_text='Otherwise it waits until someone does.',
    )

    def clean_classes_file(self) -> tuple[str, ...]:
        given = self.cleaned_data['classes_file']
        if given is None:
            return ()
        return _class_names(given.read(registration.LARGEST_NAMES + 1), given.name)

    def clean_classes(self) -> tuple[str, ...]:
        return _class_names(self.cleaned_data['classes'].encode(), 'The list')

    def said(self) -> registration.SourceMetadata:
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

    def blame(self, field: str, message: str) -> None:
        """Tell a refusal beside the field that it is about, or above all of them."""
        self.add_error(field if field in self.fields else None, message)


class KeptSourceForm(SourceForm):
    """The same of a file that is here already; another may be sent instead."""

    def keep(self, job: Job) -> None:
        if import_jobs.get_weights_path(job).exists():
            field = cast(forms.FileField, self.fields['file'])
            field.required = False
            # The admin shows help as it is; a file's name is anybody's text.
            field.help_text = format_html(
                '{} is kept: choose a file only to send another one instead.', job.spec['shown']
            )

    @classmethod
    def of(cls, job: Job) -> KeptSourceForm:
        """Filled in with what was said."""
        said = import_jobs.read_metadata(job)
        form = cls(
            {**dataclasses.asdict(said), 'side': said.side or '', 'classes': _as_lines(said.class_names)}
        )
        form.keep(job)
        form.full_clean()  # before there is anything to blame
        return form


def _as_lines(names: tuple[str, ...]) -> str:
    """As _class_names reads them."""
    text = '\n'.join(names)
    plain = text[:1] not in ('[', '{') and text.splitlines() == list(
        names
    )  # a name may hold what ends a line elsewhere
    return text if plain else json.dumps(names)


def _class_names(data: bytes, name: str) -> tuple[str, ...]:
    try:
        return registration.parse_class_names(data, name)
    except GraftError as error:
        raise forms.ValidationError(error.message) from error
