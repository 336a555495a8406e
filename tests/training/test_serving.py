"""The commands that serve a policy: as lists, and as a shell reads them."""

import shlex
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from training.options import TrainingOptions
from training.samplers.options import SamplerOptions
from training.samplers.serving import vllm

OPTIONS = TrainingOptions(max_prompt_tokens=1000, max_new_tokens=200, seed=7)


def test_what_vllm_is_told() -> None:
    made = vllm("/m/v0001", "v0001", OPTIONS, environment="/h/vllm-env", port=8123, gpus=2)
    assert made.shell == [
        "python3 -m venv /h/vllm-env",
        "/h/vllm-env/bin/pip install vllm",
        "env VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1 /h/vllm-env/bin/vllm serve /m/v0001 "
        "--served-model-name v0001 --host 127.0.0.1 --port 8123 --max-model-len 1200 "
        "--dtype bfloat16 --tensor-parallel-size 2 --generation-config vllm --seed 7",
    ]
    assert tomllib.loads(made.toml)["training"] == made.settings
    assert made.settings["endpoint"] == {"base_url": "http://127.0.0.1:8123/v1"}


def test_code_of_its_own_only_where_it_is_trusted() -> None:
    assert "--trust-remote-code" not in vllm("m", "v", OPTIONS).serve
    assert vllm("m", "v", OPTIONS, trusted=True).serve[-1] == "--trust-remote-code"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_name_is_one_word_of_the_shell(text: str) -> None:
    options = TrainingOptions(endpoint=SamplerOptions(model=text))
    made = vllm(text, text, options)
    assert shlex.split(made.shell[-1]) == list(made.serve)
    assert made.settings["endpoint"]["model"] == text
    assert tomllib.loads(made.toml)["training"] == made.settings
