# Three images from one file:
#   docker build --target service    -t caviar-service .
#   docker build --target worker     -t caviar-worker .
#   docker build --target worker-gpu -t caviar-worker-gpu .

FROM python:3.12-slim AS python
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

FROM python AS wheel
WORKDIR /src
COPY constraints/build.txt constraints/build.txt
RUN pip install --no-deps --require-hashes -r constraints/build.txt
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python AS caviar
ENV CAVIAR_HOME=/var/lib/caviar \
    PATH=/opt/caviar/bin:$PATH
RUN python -m venv /opt/caviar \
    && useradd --system --uid 10001 --home-dir /var/lib/caviar --create-home caviar
VOLUME /var/lib/caviar
WORKDIR /var/lib/caviar

FROM caviar AS service
RUN --mount=type=bind,source=constraints,target=/constraints \
    pip install --no-deps --require-hashes -r /constraints/service.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-deps /wheels/*.whl
USER 10001
EXPOSE 8700
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8700/readyz', timeout=4)"]
CMD ["caviar", "serve", "--host", "0.0.0.0", "--port", "8700"]

FROM caviar AS worker
RUN --mount=type=bind,source=constraints,target=/constraints \
    pip install --no-deps --require-hashes -r /constraints/worker-cpu.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-deps /wheels/*.whl
USER 10001
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import sys, caviar; from worker.home import machine_name as here; sys.exit(not any(w.is_alive and w.host == here() for w in caviar.Client().workers().items))"]
CMD ["caviar", "work", "--cpu-slots", "1"]

FROM caviar AS worker-gpu
RUN --mount=type=bind,source=constraints,target=/constraints \
    pip install --no-deps --require-hashes -r /constraints/worker-gpu.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-deps /wheels/*.whl
USER 10001
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import sys, caviar; from worker.home import machine_name as here; sys.exit(not any(w.is_alive and w.host == here() for w in caviar.Client().workers().items))"]
CMD ["caviar", "work"]
