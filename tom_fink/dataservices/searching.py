"""Searches: from the form's values to the page of results."""

import logging
import secrets
from typing import Any

from django.core import signing
from django.core.cache import cache
from django.utils.html import escape
from tom_dataservices.dataservices import QueryServiceError

from tom_fink.dataservices.base import FinkBase, FinkQueryError

logger = logging.getLogger(__name__)

SEARCH_S, SEARCH_S_OF_TWO, EXTRAS_S = 25.0, 18.0, 8.0  # of a page
KEPT_S = 24 * 3600  # that targets can be made of results: a page may stay open for a night
KEPT_IN_CACHE_S = 3600  # as TOM Toolkit keeps results
CHOSEN = "fink_chosen"  # the rows that a user ticked
RESULTS = "fink_results"  # what the results are, signed
SALT = "tom_fink.results"


class Searching(FinkBase):
    """What TOM Toolkit's form, its page of results and `rundataquery` call."""

    query_results_table = "tom_fink/dataservices/results.html"

    def build_query_parameters(self, parameters, **kwargs):
        """The form's values. What is wrong with them is told when they are asked: TOM's page does not expect it here.

        With a number used once, so that TOM Toolkit does not take them for the query before: it would show that
        one's first rows, of whoever asked, without what is said of them. Raises `QueryServiceError` for a visitor
        who has not logged in: hereafter TOM Toolkit's page empties the site's cache.
        """
        try:
            self.check_user()
        except FinkQueryError as error:
            self.search_error = str(error)
            raise QueryServiceError(str(error)) from error
        return {"parameters": dict(parameters or {}), "once": secrets.token_hex(8)}

    def query_service(self, query_parameters, **kwargs):
        """Ask Fink: tom_fink.dataservices.results.Results. Raises `FinkQueryError`."""
        from tom_fink.dataservices.labels import FIELD, check
        from tom_fink.dataservices.parameters import searches
        from tom_fink.dataservices.results import ask, complete

        self.check_user()
        with self.errors():
            wanted = searches(query_parameters.get("parameters", query_parameters), self.surveys)
            for survey, search in wanted.items():  # a saved query does not pass the form
                check(survey, getattr(search, FIELD[survey]))
            self.results = ask(wanted, lambda: self.client(SEARCH_S if len(wanted) == 1 else SEARCH_S_OF_TWO))
            if self.user is not None:
                with self.client(EXTRAS_S) as client:
                    complete(self.results, client)
        self.query_results = self.results
        return self.results

    def query_targets(self, query_parameters, **kwargs) -> list[dict]:
        """A dictionary for each object: name, ra, dec (degrees), and tom_fink.dataservices.results.COLUMNS.

        Raises `QueryServiceError`; its text is escaped if there is a user, as TOM Toolkit's page shows it as HTML.
        """
        try:
            self.found_rows = self.query_service(query_parameters).rows()
        except FinkQueryError as error:
            self.search_error = str(error)
            text = str(error) if self.user is None else escape(str(error))
            raise QueryServiceError(text) from error
        for note in (*self.results.notes, *self.results.problems) if self.user is None else ():
            logger.info("%s", note)
        return [dict(row) for row in self.found_rows]

    def get_additional_context_data(self):
        """What the page of results shows: our rows, all of them, and the entry that stands for them."""
        context: dict[str, Any] = {"too_many_results": False, "fink": {"error": self.search_error}}
        if self.search_error:
            context["query_feedback"] = ""  # it is shown by our own template
        if self.results is None:
            return context
        from tom_fink.dataservices.results import shown

        token = f"fink-{secrets.token_urlsafe(16)}"
        entry = {
            "fink": self.name,
            "user": self.user.pk if self.user is not None else None,
            "rows": [(row["survey"], row["name"], row["is_body"]) for row in self.found_rows],
        }
        # TOM Toolkit's own button finds it in the cache, which anybody's next search empties.
        cache.set(f"result_{token}", entry, KEPT_IN_CACHE_S)
        rows = shown(self.results, self.found_rows, self.user)
        context["fink"] |= {
            "rows": rows,
            "token": token,
            "results": RESULTS,
            "signed": signing.dumps(entry, salt=SALT, compress=True),
            "chosen": CHOSEN,
            "notes": self.results.notes,
            "problems": self.results.problems,
            "has_more": self.results.has_more,
            "has_separation": any(row.separation_arcsec is not None for row in rows),
            "has_surveys": len(self.surveys) > 1,
        }
        return context
