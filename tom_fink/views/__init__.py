"""The Fink pages, one noun to a file. Whatever a user may not see answers 404, as if it did not exist."""

from tom_fink.views.assets import plotly_js
from tom_fink.views.cutouts import CutoutFitsView, CutoutPngView
from tom_fink.views.searches import MakeTargetsView
from tom_fink.views.status import StatusView
from tom_fink.views.targets import LightCurveView, TargetView
from tom_fink.views.topics import TopicListView, TopicView

__all__ = [
    "CutoutFitsView",
    "CutoutPngView",
    "LightCurveView",
    "MakeTargetsView",
    "StatusView",
    "TargetView",
    "TopicListView",
    "TopicView",
    "plotly_js",
]
