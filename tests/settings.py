"""The site's settings as the tests need them.

TEST_DATABASE=postgresql runs the same tests on a real PostgreSQL server, started for this run.
"""

import os
from pathlib import Path

from fink_tom_site.environment import emptied

# A developer's .env and variables must not decide what a test sees: set and empty means "default".
_database = os.environ.get("TEST_DATABASE", "sqlite")
os.environ.update(emptied(Path(__file__).resolve().parents[1] / ".env"))
os.environ["SECRET_KEY"] = "for tests only, and not a secret: " + "x" * 50
if _database == "postgresql":
    from tests.postgresql import server_address

    os.environ["DATABASE_URL"] = server_address()

from fink_tom_site.settings import *  # noqa: E402, F403
from fink_tom_site.settings import BASE_DIR, DATABASES  # noqa: E402

if _database == "sqlite":
    # In a file, because the reader's threads have connections of their own.
    DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "state" / f"test-{os.getpid()}.sqlite3"}
    (BASE_DIR / "state").mkdir(exist_ok=True)
CONN_MAX_AGE = 0
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}  # each process its own
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
WHITENOISE_AUTOREFRESH = True  # no collected files in a test run
