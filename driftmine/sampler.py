"""The command `driftmine sampler serve-vllm`: what to type, never typed by the program."""

from __future__ import annotations

from rich.text import Text

from driftmine.session import Session
from training import registry
from training.samplers.serving import Serving, vllm


def serve_vllm(session: Session, version: str, *, port: int, gpus: int) -> int:
    """Show how a version is served. Raises PolicyUnusable where there is none."""
    models, options = session.home.models, session.settings.training
    manifest = registry.read(models, version)
    serving = vllm(
        str(registry.folder(models, manifest.version)),
        options.endpoint.model or manifest.version,
        options,
        environment=str(session.home.root / "vllm-env"),
        port=port,
        gpus=gpus,
        trusted=manifest.base in options.trust_remote_code,
    )
    session.console.result(
        {"install": serving.install, "serve": serving.serve, "settings": serving.settings},
        lambda: _page(serving),
    )
    return 0


def _page(serving: Serving) -> Text:
    *install, serve = serving.shell
    return Text(
        "\n".join(
            [
                "# Once: an environment of its own, because vLLM's pins are other than ours.",
                *install,
                "",
                "# Then, for as long as answers are drawn:",
                serve,
                "",
                "# In driftmine.toml:",
                serving.toml,
            ]
        )
    )
