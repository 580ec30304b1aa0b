# One image for the web site, the reader and the migrations; docker-compose.yml says which is which.

FROM python:3.13-slim AS dependencies
RUN python -m venv --without-pip /opt/venv
COPY requirements/base.txt /tmp/
# Before the code, so that a change of code does not install them again
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/venv/bin/python install --disable-pip-version-check --cache-dir /var/cache/pip --require-hashes -r /tmp/base.txt

FROM dependencies AS site
WORKDIR /app
# The code alone: .dockerignore lets nothing else through
COPY . ./
# The settings keep a secret key in state/ unless they are given one; an image must not hold it.
RUN SECRET_KEY=unused-after-this-line /opt/venv/bin/python manage.py collectstatic --noinput \
    && /opt/venv/bin/python -m compileall -q fink_tom_site custom_code tom_fink \
    && chmod -R u=rwX,go=rX . \
    && test ! -e state

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/home/tom \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WEB_CONCURRENCY=2
# 1000, the usual first user: it can read a ~/.finkclient that is mounted
RUN groupadd --gid 1000 tom && useradd --uid 1000 --gid tom --create-home --shell /usr/sbin/nologin tom
WORKDIR /app
# A volume that is mounted here for the first time takes these owners over.
RUN install -d -o tom -g tom -m 700 state data
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=site /app ./
USER 1000:1000
EXPOSE 8000
# gunicorn reads the number of workers from WEB_CONCURRENCY. Its heartbeat files are in memory: on a
# slow disk they would get workers killed. It needs no control socket, and / may be read-only.
CMD ["gunicorn", "fink_tom_site.wsgi:application", \
     "--bind", "0.0.0.0:8000", \
     "--threads", "4", \
     "--timeout", "60", \
     "--graceful-timeout", "20", \
     "--worker-tmp-dir", "/dev/shm", \
     "--no-control-socket", \
     "--access-logfile", "-"]
