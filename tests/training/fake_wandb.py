"""Weights & Biases in this process, at the public surface that lab1 uses; nothing is sent anywhere.

`tests/training/test_tracking.py` also runs the real client, offline and where nobody answers.
"""

from types import SimpleNamespace

from lab1.training.wandb import client as wandb_client

#: An API key as the client expects one; a secret in the eyes of the tests.
KEY = "5ec2e7" * 6 + "abcd"

#: Where the runs of perceptrons go.
PROJECT = "MLP_vs_ResidualMLP_Comparison"


class FakeRun:
    """A run as `wandb.init` gives it to who sends, and as `wandb.Api` gives it to who reads."""

    def __init__(self, module, arguments):
        self.arguments = arguments
        self.id, self.offline = arguments["id"], arguments["mode"] == "offline"
        self.url = f"https://wandb.example/{arguments['project']}/runs/{self.id}"
        self.dir = str(arguments["dir"] / "wandb" / f"offline-run-{self.id}" / "files")
        self.state, self.rows, self.summary, self.artifacts = "running", [], {}, []
        self._config = dict(arguments["config"])
        self._module = module

    @property
    def config(self):
        """A dictionary whose ``update`` takes wandb's own argument too."""
        run = self

        class Config(dict):
            def update(self, values, allow_val_change):
                run._config.update(values)

        return Config(self._config)

    def log(self, row, step, commit):
        self._module.act()
        assert (step, commit) == (row["epoch"], True)
        self.rows.append({**row, "_step": step})

    def log_artifact(self, artifact):
        self.artifacts.append(artifact)

    def finish(self, exit_code=0):
        self._module.act()
        self.state = "failed" if exit_code else "finished"

    def history(self, samples, pandas):
        assert samples >= len(self.rows) and pandas is False
        return self.rows


class FakeWandb:
    """The module `wandb`, logged in: ``runs`` has what was sent, by project and id.

    ``opened`` lists the arguments of every `init`.  ``act`` is called before whatever a run is told
    to do, and ``opens`` before one is opened online; both may raise, or wait.
    """

    def __init__(self):
        self.runs, self.offline, self.opened = {}, [], []
        self.act = self.opens = lambda: None
        self.run = None  # the one that is open in this process
        self.Settings = SimpleNamespace

    def init(self, **arguments):
        self.opened.append(arguments)
        offline = arguments["mode"] == "offline"
        if not offline:
            self.opens()
        made = FakeRun(self, arguments)
        if offline:
            self.offline.append(made)
        else:
            self.runs[arguments["project"], arguments["id"]] = made
        return made

    def teardown(self):
        pass

    def Artifact(self, name, type):  # noqa: N802
        made = SimpleNamespace(name=name, type=type, files={})
        made.add_file = lambda path, name: made.files.update({name: path})
        return made

    def Api(self, timeout):  # noqa: N802
        def runs(path):
            _, project = path.split("/")
            found = [run for (place, _), run in self.runs.items() if place == project]
            if not found:
                raise ValueError(f"Could not find project {project}")
            return found

        return SimpleNamespace(runs=runs)

    def install(self, monkeypatch):
        """Puts this module in the place of the real one; everything else of lab1 stays."""
        monkeypatch.setattr(wandb_client, "check_installed", lambda: None)
        monkeypatch.setattr(wandb_client, "client", lambda runs: self)
        monkeypatch.setattr(wandb_client, "has_credentials", lambda wandb: True)
        return self
