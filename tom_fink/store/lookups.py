"""A condition on many values that is one parameter, however many there are."""

import json
from collections.abc import Collection
from typing import Any

from django.db.models import F
from django.db.models.lookups import Lookup


class _AnyOf(Lookup):
    """See `any_of`."""

    prepare_rhs = False

    def as_sql(self, compiler, connection) -> tuple[str, list[Any]]:
        """The SQL of SQLite; see `as_postgresql` for PostgreSQL's."""
        left, parameters = self.process_lhs(compiler, connection)
        return f"{left} IN (SELECT value FROM json_each(%s))", [*parameters, self.rhs]  # noqa: S608 - of Django

    def as_postgresql(self, compiler, connection) -> tuple[str, list[Any]]:
        """An array that is known before the first row is looked for, so that an index can be used."""
        left, parameters = self.process_lhs(compiler, connection)
        field_type = self.lhs.output_field.cast_db_type(connection)
        # To cast to varchar(100) would cut a longer text, which could then be another's
        kind = "text" if field_type.startswith("varchar") else field_type
        values = f"SELECT jsonb_array_elements_text(%s)::{kind}"
        return f"{left} = ANY (ARRAY({values}))", [*parameters, self.rhs]


def any_of(name: str, values: Collection[int | str]) -> Lookup:
    """The condition that the field `name` has one of these values, for `QuerySet.filter`.

    Django's own `__in` has a parameter for each value: to compile, to bind and to plan hundreds takes the
    reader longer than PostgreSQL needs to find the rows.
    """
    return _AnyOf(F(name), json.dumps(list(values)))
