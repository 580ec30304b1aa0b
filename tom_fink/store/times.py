"""Times as numbers: in a profile of the reader, datetimes took most of the time in which rows come from psycopg."""

from django.db.models import BigIntegerField, Func


class Microseconds(Func):
    """A time of the database as whole microseconds since 1970 (UTC); null for null."""

    output_field = BigIntegerField()
    arity = 1

    def as_postgresql(self, compiler, connection, **context):
        """EXTRACT gives a numeric, which is exact."""
        template = "(EXTRACT(EPOCH FROM %(expressions)s) * 1000000)::bigint"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler, connection, **context):
        """Of the text that Django writes there, with or without a fraction; SQLite itself counts in milliseconds."""
        template = (
            "CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) * 1000000"
            " + CAST(substr(%(expressions)s || '.000000', 21, 6) AS INTEGER)"
        )
        return self.as_sql(compiler, connection, template=template, **context)
