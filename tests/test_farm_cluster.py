"""The page about clusters: its Slurm script in a cluster of one node, its file for Kubernetes against the schemas, the
code and the engine of the containers."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from commands import block, folder_with_photos, of_page
from containers import run
from dreamer.farm import keys
from dreamer.nets.model import Model
from dreamer.options import values
from farms import SCRIPT, as_alone, until
from helpers import ROOT, children, made, names, search, start, wait_for

pytestmark = pytest.mark.slow
PACKAGES = ("munged", "slurmctld", "slurmd", "sbatch")

# Slurm ---------------------------------------------------------------------------------------------------

# A machine with its own network, name and processes: its first process starts Slurm, and when it dies, all die.
NODE = """
ip link set lo up
ip link add eth0 type veth peer name eth1
ip address add 10.77.0.1/24 dev eth0
ip link set eth0 up
ip link set eth1 up
hostname node
mount --bind hosts /etc/hosts
munged --force --key-file "$PWD/munge.key" --socket "$PWD/munge" --pid-file "$PWD/munge.pid" --seed-file "$PWD/seed" \
    --log-file "$PWD/munge.log"
slurmctld -D >slurmctld.log 2>&1 &
slurmd -D >slurmd.log 2>&1 &
until scontrol ping | grep -q 'is UP' && sinfo --noheader --format %t | grep -q idle; do sleep 0.2; done
echo up
read -r _
"""
# It claims to have more cores than this machine, so that all tasks run at once.
CONFIGURATION = """
ClusterName=test
SlurmctldHost=node
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
NodeName=node CPUs=64 RealMemory=64000 State=UNKNOWN
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A cluster of one node on this machine, in `folder`."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0 or not all(map(shutil.which, PACKAGES)):
            pytest.skip("no Slurm: as root, apt-get install slurm-wlm munge")
        self._folder = folder
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        (folder / "hosts").write_text("127.0.0.1 localhost\n10.77.0.1 node\n")
        (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder))
        (folder / "cgroup.conf").write_text("")
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        self._machine = start(["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--kill-child",
                               "--mount-proc", "bash", "-ec", NODE], cwd=folder, env=self.environment,
                              stdin=subprocess.PIPE)
        try:
            wait_for(self._machine, "up")
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the machine, and all that runs there."""
        self._machine.kill()
        self._machine.communicate()

    def typed(self, line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
        """A line that is typed in a folder, when it has ended."""
        (first,) = children(self._machine.pid)
        return subprocess.run(["nsenter", "--target", str(first), "--all", "--", "bash", "-c",
                               f"cd '{folder}' && {line}"], env=self.environment, capture_output=True, text=True,
                              check=False, timeout=300)

    def processes(self) -> list[str]:
        """The command lines of all that runs there for a job."""
        found = self.typed("ps -eo args", self._folder).stdout.splitlines()
        return [line for line in found if re.search(r"dreamify\.py|/slurm_script\b", line)]


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    pytest.importorskip("distributed", reason="no python3-distributed: ./provision.sh farm")
    (tmp_path / "slurm").mkdir()
    found = Slurm(tmp_path / "slurm")
    yield found
    found.end()


def test_the_slurm_script(googlenet: Model, slurm: Slurm, tmp_path: Path) -> None:
    """The page's script and commands, as they stand."""
    clone = folder_with_photos(tmp_path / "clone")
    (clone / "farm.sh").write_text(block("farm-cluster", "bash"))
    slurm.environment |= {"XDG_CONFIG_HOME": str(tmp_path), "BVLC_GOOGLENET": str(googlenet.weights_path())}
    new_keys, begin, status, dream, more, end, *_ = of_page("farm-cluster")

    def typed(line: str) -> str:
        done = slurm.typed(line, clone)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def told() -> str:
        return slurm.typed(status, clone).stdout

    typed(new_keys)
    typed(begin)
    until(lambda: ": 2 workers; " in told())
    assert told().count("4 cores, 3276 MB of memory, 1 dream at a time") == 2
    typed(more)
    until(lambda: ": 4 workers; " in told())
    typed(dream)
    assert names(clone / "dreams") == ["one-dream.jpg", "two-dream.png"]
    assert as_alone(clone / "photos/one.jpg", clone / "dreams/one-dream.jpg", tmp_path)
    assert as_alone(clone / "photos/two.png", clone / "dreams/two-dream.png", tmp_path)
    assert len(slurm.processes()) >= 5
    typed(end)
    until(lambda: not slurm.processes())
    until(lambda: not typed("squeue --noheader"))


# Kubernetes ----------------------------------------------------------------------------------------------

def manifest() -> dict[str, dict[str, Any]]:
    """{"Service", "farm-scheduler", "farm-worker": what the page's file says of it}"""
    yaml = pytest.importorskip("yaml", reason="no python3-distributed: ./provision.sh farm")
    service, *deployments = yaml.safe_load_all(block("farm-cluster", "yaml"))
    assert [each["kind"] for each in (service, *deployments)] == ["Service", "Deployment", "Deployment"]
    return {"Service": service, **{each["metadata"]["name"]: each for each in deployments}}


def pod(deployment: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what a Deployment says of its pods, and of their only container)"""
    found = deployment["spec"]["template"]["spec"]
    (container,) = found["containers"]
    return found, container


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def validated(text: str, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """What kubernetes-validate says about a file, by the schemas of a new Kubernetes."""
    tool = shutil.which("kubernetes-validate", path=f"{os.environ['PATH']}:/opt/image-dreamer/dev/bin")
    if not tool:
        pytest.skip("no kubernetes-validate: ./provision.sh --dev runtime")
    (tmp_path / "farm.yaml").write_text(text)
    return subprocess.run([tool, "--strict", tmp_path / "farm.yaml"], capture_output=True, text=True, check=False)


def test_the_file_for_kubernetes_fits_the_schemas(tmp_path: Path) -> None:
    """And what does not fit is found, in each of its parts."""
    text = block("farm-cluster", "yaml")
    done = validated(text, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for right, wrong in (("ports: [{port: 8786}]", "ports: [{port: door}]"), ("replicas: 1", "replicas: one"),
                         ("cpu: 500m, ", "cores: {}, "), ("readOnly: true", "readonly: true"),
                         ("replicas: 3", "replica: 3"), ("drop: [ALL]", "dropped: [ALL]")):
        assert right in text
        assert validated(text.replace(right, wrong), tmp_path).returncode != 0, wrong


def test_the_file_for_kubernetes_fits_the_compose_file_and_the_code() -> None:
    """The same image, commands, ports and places of keys; no pod has rights that it does not need."""
    yaml = pytest.importorskip("yaml", reason="no python3-distributed: ./provision.sh farm")
    compose, found = yaml.safe_load((ROOT / "dreamer/farm/compose.yaml").read_text()), manifest()
    service = found.pop("Service")
    port = service["spec"]["ports"][0]["port"]
    assert port == values.FARM_PORT
    for name, deployment in found.items():
        room, container = pod(deployment)
        other = compose["services"][name.removeprefix("farm-")]
        assert container["image"] == search(r":-([\w-]+)\}$", other["image"])[1]
        assert container["args"] == other["command"].split()
        assert variables(container)[keys.VARIABLE] == other["environment"][keys.VARIABLE]
        assert [each["mountPath"] for each in container["volumeMounts"]] == [variables(container)[keys.VARIABLE],
                                                                             "/var/tmp"]
        assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
        assert room["securityContext"] == {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
                                           "seccompProfile": {"type": "RuntimeDefault"}}
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}
        assert f"secret generic {room['volumes'][0]['secret']['secretName']} " in "".join(of_page("farm-cluster"))
    assert service["spec"]["selector"] == found["farm-scheduler"]["spec"]["selector"]["matchLabels"]
    assert variables(pod(found["farm-worker"])[1])["DREAMER_FARM"] == f"tls://{service['metadata']['name']}:{port}"
    scheduler = pod(found["farm-scheduler"])[1]
    assert scheduler["ports"] == [{"containerPort": port}]
    assert scheduler["readinessProbe"]["tcpSocket"]["port"] == port
    assert scheduler["livenessProbe"]["exec"]["command"][-1] == f"tls://127.0.0.1:{port}"


@pytest.mark.container
def test_the_pods_as_containers(docker: str, farm_image: str, tmp_path: Path) -> None:
    """Each with the user, the rights, the folders, the variables and the words that the file gives it; and the page's
    command that dreams, as if the scheduler's port were forwarded."""
    found = manifest()
    (tmp_path / "photos").mkdir()
    Image.effect_noise((60, 40), 40).convert("RGB").save(tmp_path / "photos/a.png")
    made([SCRIPT, "farm", "keys", tmp_path / "farm-keys"])
    shutil.copytree(tmp_path / "farm-keys", tmp_path / "secret")
    network = f"farm-cluster-{os.getpid()}"
    names_of = {name: f"{network}-{name}" for name in ("farm-scheduler", "farm-worker")}
    run(docker, "network", "create", network)
    try:
        for name, container in names_of.items():
            run(docker, "run", "--detach", "--name", container, "--network", network, "--network-alias", name,
                *as_options(found[name], tmp_path / "secret", farm_image))
        probe = pod(found["farm-scheduler"])[1]["livenessProbe"]["exec"]["command"]
        until(lambda: ": 1 worker; " in run(docker, "exec", names_of["farm-scheduler"], *probe, ok=False).stdout)
        run(docker, "tag", farm_image, "image-dreamer")
        (line,) = [line for line in of_page("farm-cluster") if line.startswith("docker run ")]
        line = line.replace("--network host", f"--network container:{names_of['farm-scheduler']}")
        run("bash", "-ec", line, cwd=tmp_path, env=os.environ | {"PATH": f"{Path(docker).parent}:{os.environ['PATH']}"})
        assert names(tmp_path / "dreams") == ["a-dream.png"]
        run(docker, "run", "--rm", "--volume", f"{tmp_path}:/vagrant", farm_image, "photos/a.png", "alone.png",
            "--like", "dreams/a-dream.png")
        assert (tmp_path / "alone.png").read_bytes() == (tmp_path / "dreams/a-dream.png").read_bytes()
    finally:
        run(docker, "rm", "--force", *names_of.values(), ok=False)
        run(docker, "network", "rm", network, ok=False)


def as_options(deployment: dict[str, Any], secret: Path, image: str) -> list[object]:
    """The options of docker run for a Deployment's container, and its words. `secret`: folder of keys, which gets the
    owner and modes of a mounted secret."""
    room, container = pod(deployment)
    may, mount = room["securityContext"], {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    for path in secret.iterdir():
        os.chown(path, 0, may["fsGroup"])
        path.chmod(room["volumes"][0]["secret"]["defaultMode"])
    secret.chmod(0o755)
    limits = container["resources"]["limits"]
    return ["--user", f"{may['runAsUser']}:{may['runAsGroup']}", "--read-only", "--cap-drop", "ALL", "--security-opt",
            "no-new-privileges", "--memory", limits["memory"].removesuffix("i"),
            *[word for name, value in variables(container).items() for word in ("--env", f"{name}={value}")],
            "--volume", f"{secret}:{mount['keys']}:ro", "--tmpfs", f"{mount['temporary']}:mode=1777", image,
            *container["args"]]
