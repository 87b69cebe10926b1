# The edge image: no compiler, no builder, no root. `docker run --read-only --tmpfs /tmp -v edge-cache:/var/lib/edgewise …` works.
FROM python:3.13-slim AS wheel
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY decisions decisions
COPY snapshots snapshots
COPY edge edge
RUN python -m venv /opt/edgewise \
 && /opt/edgewise/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/edgewise --create-home edgewise
COPY --from=wheel /opt/edgewise /opt/edgewise
ENV PATH=/opt/edgewise/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EDGEWISE_CACHE=/var/lib/edgewise \
    EDGEWISE_KEYS=/etc/edgewise/keys \
    EDGEWISE_HOST=0.0.0.0 \
    EDGEWISE_PORT=8080
USER edgewise
VOLUME /var/lib/edgewise
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["edgewise", "health"]
ENTRYPOINT ["edgewise"]
CMD ["serve"]
