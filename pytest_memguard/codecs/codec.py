"""Converts frozen values to plain JSON and back, by one table of fields for each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from pytest_memguard.codecs.forms import LIST, Form
from pytest_memguard.formats import Json

Value = TypeVar("Value")
_REQUIRED: Final = object()


class Key:
    """A field that has a key of its own in the stored object.

    Attributes:
        field: its name in the class.
        name: its key.
        form: how its value is stored, if not as it is.
        missing: the value where the stored object lacks the key, if it may.
        is_required: whether it may not.
        sparse: whether the key is left out where the value is ``missing``.
    """

    __slots__ = ("field", "fields", "form", "is_required", "missing", "name", "sparse")

    def __init__(
        self,
        field: str,
        name: str = "",
        form: Form | None = None,
        *,
        missing: object = _REQUIRED,
        sparse: bool = False,
    ) -> None:
        """Describe the field.

        Args:
            field: its name in the class.
            name: its key, if that has another name.
            form: how its value is stored; without one it is stored as it is.
            missing: the value where the stored object lacks the key; without one, reading
                such an object raises `KeyError`.
            sparse: whether the key is left out where the value is ``missing``.
        """
        self.fields = (field,)
        self.field = field
        self.name = name or field
        self.form = form
        self.missing = missing
        self.is_required = missing is _REQUIRED
        self.sparse = sparse


class Inline:
    """A field that is a value itself, whose keys stand among those of the object."""

    def __init__(self, field: str, form: Form) -> None:
        """Take the name of the field, and the form of its value."""
        self.fields = (field,)
        self._field = field
        self._form = form

    def put(self, value: Any, data: Json) -> None:
        """Write the keys of the field's value into the stored object."""
        data.update(self._form.write(getattr(value, self._field)))

    def take(self, data: Json, fields: dict[str, Any]) -> None:
        """Read the field's value from the keys of the stored object."""
        fields[self._field] = self._form.read(data)


class WrittenOnly:
    """A key that spares readers a calculation, and that is not read back."""

    fields = ()

    def __init__(self, name: str, of: Callable[[Any], Any], *, sparse: bool = False) -> None:
        """Describe the key.

        Args:
            name: the key.
            of: makes its content from the value.
            sparse: whether the key is left out where its content is empty.
        """
        self._name = name
        self._of = of
        self._sparse = sparse

    def put(self, value: Any, data: Json) -> None:
        """Write the key into the stored object."""
        content = self._of(value)
        if content or not self._sparse:
            data[self._name] = content

    def take(self, data: Json, fields: dict[str, Any]) -> None:
        """Read nothing."""


class ReadOnly:
    """A field without a key: what is stored of the others implies it."""

    def __init__(self, field: str, of: Callable[[Json], Any]) -> None:
        """Take the name of the field, and the function that makes it from the stored object."""
        self.fields = (field,)
        self._field = field
        self._of = of

    def put(self, value: Any, data: Json) -> None:
        """Write nothing."""

    def take(self, data: Json, fields: dict[str, Any]) -> None:
        """Set the field from the stored object."""
        fields[self._field] = self._of(data)


class Codec(Generic[Value]):
    """Converts the values of one class to objects of JSON and back.

    The rows of the table stand in the order in which the keys are written.
    """

    def __init__(
        self,
        cls: type[Value],
        *rows: str | Key | Inline | WrittenOnly | ReadOnly,
        not_stored: Sequence[str] = (),
    ) -> None:
        """Make a codec from its table.

        Args:
            cls: the class, with slots.
            rows: one for each field; a name alone is a field that is stored as it is.
            not_stored: fields that are read as their defaults.

        Raises:
            TypeError: if the table does not name every field of the class once.
        """
        self._cls = cls
        self._rows: tuple[Any, ...] = rows
        named = sorted([*not_stored, *(name for row in rows for name in _fields_of_row(row))])
        if named != sorted(fields_of(cls)):
            msg = f"{cls.__name__} has the fields {sorted(fields_of(cls))}, its table {named}"
            raise TypeError(msg)

    def write(self, value: Value) -> Json:
        """Return a value as an object of JSON."""
        data: Json = {}
        for row in self._rows:
            if row.__class__ is str:  # most rows are texts or keys: those take no call
                data[row] = getattr(value, row)
            elif row.__class__ is Key:
                found = getattr(value, row.field)
                if not row.sparse or found != row.missing:
                    data[row.name] = found if row.form is None else row.form.write(found)
            else:
                row.put(value, data)
        return data

    def read(self, data: Json) -> Value:
        """Return the value that an object of JSON stands for.

        Raises:
            KeyError: if the object lacks a key.
        """
        fields: dict[str, Any] = {}
        for row in self._rows:
            if row.__class__ is str:
                fields[row] = data[row]
            elif row.__class__ is not Key:
                row.take(data, fields)
            elif row.name in data or row.is_required:
                found = data[row.name]
                fields[row.field] = found if row.form is None else row.form.read(found)
            else:
                fields[row.field] = row.missing
        return self._cls(**fields)


class FlatCodec(Generic[Value]):
    """A codec of a class whose keys are its fields, with the defaults that these have."""

    def __init__(self, cls: type[Value], **forms: Form) -> None:
        """Make a codec from the fields of a class.

        Args:
            cls: the class, with slots.
            forms: how fields are stored that JSON does not have; tuples become lists.
        """
        self._cls = cls
        annotations = cls.__annotations__
        tuples = {name: LIST for name in annotations if annotations[name].startswith("tuple[")}
        self._forms: dict[str, Form] = tuples | forms
        self._fields = fields_of(cls)

    def write(self, value: Value) -> Json:
        """Return a value as an object of JSON."""
        data = {name: getattr(value, name) for name in self._fields}
        for name, form in self._forms.items():
            data[name] = form.write(data[name])
        return data

    def read(self, data: Json) -> Value:
        """Return the value that an object of JSON stands for.

        Raises:
            TypeError: if the object has a key that the class has not, or lacks one without
                a default.
        """
        forms = self._forms.items()
        read = {name: form.read(data[name]) for name, form in forms if name in data}
        return self._cls(**{**data, **read})


def fields_of(cls: type) -> tuple[str, ...]:
    """Return the names of the fields of a class of frozen values, in their order."""
    return tuple(cls.__annotations__)


def _fields_of_row(row: str | Key | Inline | WrittenOnly | ReadOnly) -> tuple[str, ...]:
    return (row,) if isinstance(row, str) else row.fields
