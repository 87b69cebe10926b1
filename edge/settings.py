"""Flags, the environment and a settings file in; one Config out, whose values can work together.

A flag beats the environment, the environment beats the file, the file beats the default. Nothing
else reads the environment.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from decisions import consent
from edge.cdns import CDNS
from edge.config import ENVIRONMENT_PREFIX, PROFILE_DAYS, Config, settings
from edge.errors import SettingError

DAY_S = 86_400.0
OPT_OUT_DAYS = 365  # Cal. Civ. Code § 1798.135(c)(4): who said no is not asked for a year


def load(
    flags: Mapping[str, Any] = types.MappingProxyType({}),
    environ: Mapping[str, str] = types.MappingProxyType({}),
    file: str | Path | None = None,
) -> Config:
    """The settings, each from the highest layer that gives it. Raises SettingError, which names the
    place."""
    known = {setting.name: setting for setting in settings()}
    chosen: dict[str, tuple[str, Any]] = {}
    for name, value in _read_file(file).items():
        chosen[name] = (f"{name} in {file}", value)
    for key, value in environ.items():
        if (
            key.startswith(ENVIRONMENT_PREFIX)
            and key.removeprefix(ENVIRONMENT_PREFIX).lower() in known
        ):
            chosen[key.removeprefix(ENVIRONMENT_PREFIX).lower()] = (key, value)
    for name, value in flags.items():
        if value is not None:
            chosen[name] = (f"--{name.replace('_', '-')}", value)
    if strange := sorted(chosen.keys() - known.keys()):
        raise SettingError(f"expected a setting, got {strange[0]!r} - at {chosen[strange[0]][0]}")
    return _checked(Config(**{n: _typed(known[n].type, v, at) for n, (at, v) in chosen.items()}))


def _read_file(file: str | Path | None) -> dict[str, Any]:
    if not file:
        return {}
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"expected a settings file, got {error.strerror} - at {file}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"expected TOML, got {error} - at {file}") from error


def _typed(kind: Any, value: Any, place: str) -> Any:
    """The value as its field's type; text stands for numbers, truth and comma-separated lists."""
    if isinstance(value, str) and typing.get_origin(kind) is tuple:
        value = [word.strip() for word in value.split(",") if word.strip()]
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(
            f"{str(error)[0].lower()}{str(error)[1:]} ({value!r}) - at {place}"
        ) from error


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?::\w+)?")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")
_SCORES = re.compile(r"\d{1,4}-\d{1,4}")
_AT_LEAST = {"port": 0, "workers": 1, "max_body_bytes": 1_024, "max_query_bytes": 256}
_AT_LEAST |= dict.fromkeys(("max_events", "max_slots", "log_queue", "events_per_minute"), 1)
_AT_LEAST |= dict.fromkeys(("server_calls_per_minute", "max_clients"), 1)
_AT_LEAST |= dict.fromkeys(("max_tokens_cached", "max_connections"), 1)


def _checked(config: Config) -> Config:
    """The config itself, if its values can work together."""
    for name, least in _AT_LEAST.items():
        if (value := getattr(config, name)) < least:
            raise SettingError(f"expected {name} >= {least}, got {value}")
    _check_consent(config)
    _check_oauth(config)
    for name in ("poll_interval_s", "follow_interval_s", "log_file_s", "body_s"):
        if not (value := getattr(config, name)) > 0:
            raise SettingError(f"expected {name} > 0, got {value}")
    if not config.mount.startswith("/") or config.mount.endswith("/"):
        raise SettingError(
            f"expected mount to start with / and not to end with it, got {config.mount!r}"
        )
    if config.log_file_s > DAY_S:  # what is read by the hour is looked for within a day
        raise SettingError(f"expected log_file_s <= {DAY_S:.0f}, got {config.log_file_s}")
    if config.log_bytes < (least := config.log_file_bytes * (config.workers + 1)):
        what = "a file for each worker and one that waits"
        raise SettingError(f"expected log_bytes >= {least}, {what}, got {config.log_bytes}")
    host_and_port(config.admin)
    _check_proxies(config)
    for origin in config.origins:
        if not _ORIGIN.fullmatch(origin):
            what = "expected an origin such as https://m.example.com"
            raise SettingError(f"{what}, got {origin!r} - at origins")
    return config


def _check_oauth(config: Config) -> None:
    """Raises SettingError for an issuer whose tokens would count wherever they are meant for."""
    if bool(config.oauth_issuer) is not bool(config.oauth_audience):
        raise SettingError("expected oauth_issuer and oauth_audience, got one of them")
    if config.oauth_jwks and not config.oauth_issuer:
        raise SettingError("expected oauth_issuer beside oauth_jwks, got none")


def _check_consent(config: Config) -> None:
    """Raises SettingError for what nobody may grant, or would come back too soon, or too late."""
    if config.gpc not in consent.GPC:
        raise SettingError(f"expected one of {', '.join(consent.GPC)}, got {config.gpc!r} - at gpc")
    if not 0 < (days := config.profile_days) <= PROFILE_DAYS:
        raise SettingError(f"expected 0 < profile_days <= {PROFILE_DAYS}, got {days}")
    if not 0 <= (known := config.recognised_days) <= PROFILE_DAYS:
        raise SettingError(f"expected 0 <= recognised_days <= {PROFILE_DAYS}, got {known:g}")
    if not 0 <= config.tcf_vendor < 2**16:
        raise SettingError(f"expected 0 <= tcf_vendor < 65536, got {config.tcf_vendor}")
    may = [name for name, bit in consent.PURPOSES.items() if bit != consent.SENSITIVE]
    for name in config.opt_out_grants:
        if name not in may:
            raise SettingError(
                f"expected some of {', '.join(may)}, got {name!r} - at opt_out_grants"
            )
    if config.opt_out_grants and config.consent_days < OPT_OUT_DAYS:
        raise SettingError(
            f"expected consent_days >= {OPT_OUT_DAYS}, for a no must not lapse sooner"
            f" into opt_out_grants, got {config.consent_days}"
        )


def _check_proxies(config: Config) -> None:
    """Raises SettingError if it is not clear who is believed about what."""
    for text in config.trusted_proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise SettingError(
                f"expected addresses and networks, got {error} - at trusted_proxies"
            ) from error
    if config.cdn not in CDNS:
        raise SettingError(f"expected one of {', '.join(CDNS)}, got {config.cdn!r} - at cdn")
    for name, header in config.told._asdict().items():
        if header and not _HEADER.fullmatch(header):
            raise SettingError(f"expected a header's name, got {header!r} - at {name}_header")
    for value in config.bot_values:
        if not _SCORES.fullmatch(value) and not value.isalpha():
            what = "expected a range of scores such as 1-29, or a word such as true"
            raise SettingError(f"{what}, got {value!r} - at bot_values")


def host_and_port(address: str) -> tuple[str, int]:
    """`127.0.0.1:8081` in two parts. Raises SettingError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise SettingError(f"expected HOST:PORT, got {address!r} - at admin")
    return host.strip("[]"), int(port)
