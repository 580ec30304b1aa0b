"""Targets of what a search found: what the button below its results asks for."""

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.signing import BadSignature
from django.shortcuts import redirect
from django.views import View

from tom_fink.dataservices.making import Making


class MakeTargetsView(LoginRequiredMixin, View):
    """Makes targets of the ticked rows of a page of results, and shows the only one, or the list of targets."""

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request):
        """Whoever had to log in first comes here without what was ticked."""
        messages.warning(request, "Nothing was chosen. Run the search again, and tick the objects.")
        return redirect("tom_dataservices:query_list")

    def post(self, request):
        try:
            service, entry = Making.of_results(request)
        except BadSignature:
            messages.error(request, "These results are older than a day or damaged. Run the search again.")
            return redirect("tom_dataservices:query_list")
        target = service.to_target(entry, request=request)
        return (
            redirect("tom_targets:list") if target is None else redirect("tom_targets:detail", pk=target.pk)
        )
