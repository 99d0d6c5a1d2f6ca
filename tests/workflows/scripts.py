"""Writes each shell step of the examples' workflows to a file of its own, for shellcheck."""

import pathlib
import sys

import yaml

ci, folder = (pathlib.Path(arg) for arg in sys.argv[1:])


def steps():
    """Name, shell and text of every step, in the shell that its forge gives it."""
    for path in sorted((ci / "github").glob("*.yml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for number, step in enumerate(job["steps"]):
                if "run" in step:
                    yield f"github-{path.stem}-{number}", "bash", step["run"]
    for name, job in yaml.safe_load((ci / "gitlab/.gitlab-ci.yml").read_text()).items():
        if isinstance(job, dict) and "script" in job:
            yield f"gitlab-{name}", "bash", "\n".join(job["script"])
    atlantis = yaml.safe_load((ci / "atlantis/atlantis.yaml").read_text())
    for flow, stages in atlantis["workflows"].items():
        for stage, body in stages.items():
            for number, step in enumerate(body["steps"]):
                yield f"atlantis-{flow}-{stage}-{number}", "sh", step["run"]
    hooks = yaml.safe_load((ci / "pre-commit/.pre-commit-config.yaml").read_text())
    for hook in (hook for repo in hooks["repos"] for hook in repo["hooks"]):
        yield f"pre-commit-{hook['id']}", "sh", hook["entry"]


for name, shell, text in steps():
    if "${{" in text:
        sys.exit(f"{name}: an expression inside a script is code that somebody else writes; use `env`")
    # variables come from the workflow's `env` and the forge
    (folder / f"{name}.{shell}").write_text(f"# shellcheck shell={shell} disable=SC2154\n{text}\n")
