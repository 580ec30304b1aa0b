"""Settings of this site.

What differs between machines comes from the environment (.env.example), what the site is called from site.toml.
What you want otherwise goes into local_settings.py.
"""

import logging
from pathlib import Path

from tom_common.default_settings import *  # noqa: F403 - TOM Toolkit's defaults, meant to be taken so
from tom_common.default_settings import TOMTOOLKIT_INSTALLED_APPS, TOMTOOLKIT_MIDDLEWARE

from fink_tom_site import local_settings
from fink_tom_site.environment import Environment, kept_secret_key
from fink_tom_site.site import read_site

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR / ".env")
site = read_site()

# --- The site ---------------------------------------------------------------------------------

TOM_NAME = env("TOM_NAME") or site.name
SECRET_KEY = env("SECRET_KEY") or kept_secret_key(BASE_DIR / "state" / "secret_key")
SECRET_KEY_FALLBACKS = []
DEBUG = env("DEBUG")
ALLOWED_HOSTS = env("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS")
ROOT_URLCONF = "fink_tom_site.urls"
WSGI_APPLICATION = "fink_tom_site.wsgi.application"
SITE_ID = 1

if env("HTTPS_ONLY"):
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

INSTALLED_APPS = [
    *TOMTOOLKIT_INSTALLED_APPS,
    "tom_fink",  # before tom_alertstreams: the first app that has a command gives it (readstreams)
    "tom_alertstreams",
]

MIDDLEWARE = [
    TOMTOOLKIT_MIDDLEWARE[0],
    "whitenoise.middleware.WhiteNoiseMiddleware",  # right after SecurityMiddleware, as WhiteNoise asks
    *TOMTOOLKIT_MIDDLEWARE[1:],
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
CRISPY_TEMPLATE_PACK = "bootstrap5"

# --- Data -------------------------------------------------------------------------------------

DATABASES = {"default": env.database(default=BASE_DIR / "db.sqlite3")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # The site reads while the stream writes. FULL, because offsets are committed after the
        # rows: a power cut must not take back rows whose offsets are gone.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
    }
else:
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        # A server that vanished without a word is noticed in seconds; by themselves, TCP takes minutes.
        patience = {"connect_timeout": 5, "tcp_user_timeout": 20_000}
        DATABASES["default"]["OPTIONS"] = patience | DATABASES["default"].get("OPTIONS", {})
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
# One for all processes of the web server: TOM Toolkit keeps the results of a search there, and another process than
# the one that searched may have to make the targets. The folder is made with mode 700.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": BASE_DIR / "state" / "cache",
        "OPTIONS": {"MAX_ENTRIES": 5000},
    }
}
TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}

# --- People -----------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AUTH_STRATEGY = "READ_ONLY"
OPEN_URLS = []
TARGET_PERMISSIONS_ONLY = True
TARGET_DEFAULT_PERMISSION = "PRIVATE"

vars().update(env.email())
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL") or site.contact

# --- Language, files, log ---------------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = env("TIME_ZONE") or site.time_zone
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = ["tom_base.formats"]

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "_static"
STATICFILES_DIRS = [BASE_DIR / "fink_tom_site" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
MEDIA_ROOT = BASE_DIR / "data"
MEDIA_URL = "/data/"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"utc": {"()": "fink_tom_site.logs.UtcFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "utc"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL")},
    "loggers": {
        # tom_common.hooks logs a line for each new target, of which a stream makes thousands; matplotlib, which
        # TOM Toolkit imports, tells of its font list at each start in a read-only container.
        name: {"level": max(logging.WARNING, logging.getLevelName(env("LOG_LEVEL")))}
        for name in ("tom_common.hooks", "matplotlib")
    },
}

# --- TOM Toolkit ------------------------------------------------------------------------------

TARGET_TYPE = "SIDEREAL"
MATCH_MANAGERS = {}
FACILITIES = {}
TOM_FACILITY_CLASSES = ["tom_observations.facilities.lco_redirect.LCORedirectFacility"]
TOM_ALERT_CLASSES = ["tom_fink.fink.FinkBroker"]
DATA_PRODUCT_TYPES = {
    "photometry": ("photometry", "Photometry"),
    "fits_file": ("fits_file", "FITS File"),
    "spectroscopy": ("spectroscopy", "Spectroscopy"),
    "image_file": ("image_file", "Image File"),
}
DATA_PROCESSORS = {
    "photometry": "tom_dataproducts.processors.photometry_processor.PhotometryProcessor",
    "spectroscopy": "tom_dataproducts.processors.spectroscopy_processor.SpectroscopyProcessor",
}
EXTRA_FIELDS = []
GENERAL_SEARCH_FUNCTIONS = {}
SELECTION_EXTRA_FIELDS = []
TARGET_LIST_COLUMNS = ["name", "type", "observations", "saved_data"]
HOOKS = {
    "target_post_save": "tom_common.hooks.target_post_save",
    "observation_change_state": "tom_common.hooks.observation_change_state",
    "data_product_post_upload": "tom_dataproducts.hooks.data_product_post_upload",
    "data_product_post_save": "tom_dataproducts.hooks.data_product_post_save",
    "multiple_data_products_post_save": "tom_dataproducts.hooks.multiple_data_products_post_save",
}
AUTO_THUMBNAILS = False
THUMBNAIL_MAX_SIZE = (0, 0)
THUMBNAIL_DEFAULT_SIZE = (200, 200)
HINTS_ENABLED = False
HINT_LEVEL = 20
SHOW_PAGINATION_INFO = True
if env("TOM_THEME") == "dark":
    CSS_THEME = "Dark"
PLOTLY_THEME = "plotly_dark" if env("TOM_THEME") == "dark" else "plotly_white"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tom_common.accounts.api_auth.TomTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 100,
}

# --- Fink -------------------------------------------------------------------------------------

FINK_TARGET_PERMISSION = env("FINK_TARGET_PERMISSION")
FINK_ARCHIVE_DIR = env("FINK_ARCHIVE_DIR") and BASE_DIR / Path(env("FINK_ARCHIVE_DIR")).expanduser()
FINK_CUTOUTS_FILE = env("FINK_CUTOUTS_FILE") and BASE_DIR / Path(env("FINK_CUTOUTS_FILE")).expanduser()
FINK_GIVE_UP_AFTER = env("FINK_GIVE_UP_AFTER")
FINK_KEEP_CLOSED_DAYS = env("FINK_KEEP_CLOSED_DAYS")
FINK_API_ZTF_URL = env("FINK_API_ZTF_URL")
FINK_API_LSST_URL = env("FINK_API_LSST_URL")
FINK_API_TIMEOUT = env("FINK_API_TIMEOUT")


def fink_stream(survey: str) -> dict:
    """The entry of one survey's stream; what its variables leave unset comes from the ZTF stream."""
    prefix = {"ztf": "FINK", "lsst": "FINK_LSST"}[survey]

    def credential(name: str) -> str:
        return env(f"{prefix}_CREDENTIAL_{name}") or env(f"FINK_CREDENTIAL_{name}")

    own = env.librdkafka(f"{prefix}_KAFKA_")
    takes_no_password = own.get("security.protocol", "").lower() in ("ssl", "plaintext")
    return {
        "ACTIVE": True,
        "NAME": "tom_fink.alertstream.FinkAlertStream",
        "OPTIONS": {
            "SURVEY": survey,
            "URL": env(f"{prefix}_CREDENTIAL_URL"),
            "USERNAME": credential("USERNAME"),
            "GROUP_ID": credential("GROUP_ID"),
            # A stream that has said that it logs in otherwise does not take over the other one's password.
            "PASSWORD": env(f"{prefix}_CREDENTIAL_PASSWORD") if takes_no_password else credential("PASSWORD"),
            "TOPIC": env(f"{prefix}_TOPIC"),
            "START_AT": env("FINK_START_AT"),
            "MAX_POLL_NUMBER": env("FINK_MAX_POLL_NUMBER"),
            "TIMEOUT": env("FINK_TIMEOUT"),
            "KAFKA": env.librdkafka("FINK_KAFKA_") | own,
            "TOPIC_HANDLERS": {"fink.stream": "tom_fink.alertstream.alert_saver"},
        },
    }


ALERT_STREAMS = [fink_stream(survey) for survey in site.surveys]

# --- Yours ------------------------------------------------------------------------------------

local_settings.change(globals())
