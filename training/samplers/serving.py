"""How to serve a policy with vLLM, as commands to read and to run by hand.

vLLM's pins are other than ours, so it has a virtual environment of its own. Nothing here runs
anything. Flags: https://docs.vllm.ai/en/latest/cli/serve/.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from training.options import TrainingOptions

PORT = 8000
# vLLM reports its use unless told not to; the policy lies here, so nobody has to be asked for it.
_QUIETLY = ("env", "VLLM_NO_USAGE_STATS=1", "HF_HUB_OFFLINE=1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Commands as lists of arguments, and the settings that then use the server."""

    install: tuple[tuple[str, ...], ...]
    serve: tuple[str, ...]
    settings: dict[str, Any]  # of section [training]

    @property
    def shell(self) -> list[str]:
        """The commands as a shell takes them, one a line."""
        return [shlex.join(command) for command in (*self.install, self.serve)]

    @property
    def toml(self) -> str:
        """The settings as driftmine.toml takes them."""
        plain = {k: v for k, v in self.settings.items() if not isinstance(v, dict)}
        return "\n".join(
            [
                "[training]",
                *_pairs(plain),
                "[training.endpoint]",
                *_pairs(self.settings["endpoint"]),
            ]
        )


def _pairs(settings: dict[str, Any]) -> list[str]:
    # A string of JSON is one of TOML, as long as it holds no surrogates.
    return [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in settings.items()]


def vllm(
    source: str,
    name: str,
    options: TrainingOptions,
    *,
    environment: str = "vllm-env",
    port: int = PORT,
    gpus: int = 1,
    trusted: bool = False,
) -> Serving:
    """Serve the policy at `source` under `name`, on this machine only.

    As the sampler of this process draws: sampling parameters of the policy's own file are left out.
    """
    serve: list[str] = [
        *_QUIETLY,
        *(f"{environment}/bin/vllm", "serve", source, "--served-model-name", name),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", str(options.max_prompt_tokens + options.max_new_tokens)),
        *("--dtype", "bfloat16", "--tensor-parallel-size", str(gpus)),
        *("--generation-config", "vllm", "--seed", str(options.seed)),
    ]
    if trusted:
        serve.append("--trust-remote-code")
    return Serving(
        install=(
            ("python3", "-m", "venv", environment),
            (f"{environment}/bin/pip", "install", "vllm"),
        ),
        serve=tuple(serve),
        settings={
            "sampler": "endpoint",
            "endpoint": {"base_url": f"http://127.0.0.1:{port}/v1"}
            | ({"model": options.endpoint.model} if options.endpoint.model else {}),
        },
    )
