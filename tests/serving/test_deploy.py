"""What can be known of the files in `deploy` without Docker, a cluster, or the model server."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from batching import Batching, read_batching
from google.protobuf import text_format
from prediction_service import MOST_CLIENTS, Addresses, serving
from stand_in import save_stand_in
from tensorflow_serving.config import model_server_config_pb2

from nmt.serving import client, warmup

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    folder = tmp_path_factory.mktemp("model")
    save_stand_in(folder)
    with serving(folder) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["translator"]


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, Any]]:
    return {part["kind"]: part for part in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


@pytest.fixture(scope="module")
def pod(manifest: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return manifest["Deployment"]["spec"]["template"]["spec"]


def flags(arguments: list[str]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def served_model() -> Any:
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((DEPLOY / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    return model


def test_models_config_names_the_model_that_the_client_asks_for(compose: dict[str, Any]) -> None:
    model = served_model()
    assert model.name == client.translate_lines.__kwdefaults__["model"]
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.latest.num_versions == 1
    mounted = dict(volume.split(":")[:2] for volume in compose["volumes"])
    assert model.base_path == f"{mounted['./models']}/translator"
    assert "--to deploy/models/translator" in (DEPLOY / "README.md").read_text()


def test_what_models_config_suggests_is_legal() -> None:
    lines = (DEPLOY / "models.config").read_text().splitlines()
    suggested = [
        line.split("#", 1)[1] for line in lines if re.search(r"#\s+(model_version_policy|version_labels) ", line)
    ]
    model = model_server_config_pb2.ModelConfig()
    text_format.Parse("\n".join(suggested), model)
    assert model.version_labels["stable"] == 1
    assert list(model.model_version_policy.specific.versions) == [1, 2]


def test_batches_hold_what_the_client_and_the_warm_up_send() -> None:
    settings = read_batching(DEPLOY / "batching.config")
    assert settings.max_batch_size >= max(client.BATCH_SIZE, *warmup.BATCH_SIZES)
    assert settings.max_enqueued_batches * settings.max_batch_size >= MOST_CLIENTS


def test_batching_is_read_as_strictly_as_the_server_does(tmp_path: Path) -> None:
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 7 } allowed_batch_sizes: 7 # the last equals the first")
    assert read_batching(file) == Batching()._replace(max_batch_size=7)
    for wrong in ("max_batch { value: 7 }", "max_batch_size: 7", "max_batch_size { value: seven }"):
        file.write_text(wrong)
        with pytest.raises(text_format.ParseError):
            read_batching(file)


def test_the_server_is_of_the_version_that_writes_the_models(compose: dict[str, Any], pod: dict[str, Any]) -> None:
    images = {compose["image"], *(container["image"] for container in pod["containers"])}
    (image,) = images
    version = importlib.metadata.version("tensorflow-serving-api")
    assert image == f"tensorflow/serving:{version}"
    assert version.split(".")[:2] == importlib.metadata.version("tensorflow").split(".")[:2]
    assert image in (DEPLOY / "README.md").read_text()


def test_compose_and_kubernetes_start_the_same_server(compose: dict[str, Any], pod: dict[str, Any]) -> None:
    server = pod["containers"][0]
    assert compose["command"] == server["args"]
    assert compose["entrypoint"] == server["command"] == ["tensorflow_model_server"]
    given = flags(server["args"])
    assert int(given["grpc_max_threads"]) == MOST_CLIENTS
    cores = read_batching(DEPLOY / "batching.config").num_batch_threads
    assert compose["cpus"] == int(server["resources"]["limits"]["cpu"]) == cores
    assert {int(given[f"tensorflow_{kind}_op_parallelism"]) for kind in ("intra", "inter")} == {cores}


def test_composes_files_and_ports_exist(compose: dict[str, Any]) -> None:
    given = flags(compose["command"])
    targets = {}
    for volume in compose["volumes"]:
        source, target, access = volume.split(":")
        assert access == "ro"
        targets[target] = DEPLOY / source
    for flag in ("model_config_file", "batching_parameters_file"):
        assert targets[given[flag]].is_file()
    published = {tuple(port.rsplit(":", 2)) for port in compose["ports"]}
    ports = (given["port"], given["rest_api_port"])
    assert published == {("127.0.0.1", port, port) for port in ports}


def test_the_manifests_parts_fit_together(manifest: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    server, upload = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    given = flags(server["args"])
    assert ports == {"grpc": int(given["port"]), "rest": int(given["rest_api_port"])}
    for probe in ("startupProbe", "readinessProbe"):
        assert server[probe]["httpGet"] == {"path": f"/v1/models/{served_model().name}", "port": "rest"}
    assert server["livenessProbe"]["tcpSocket"]["port"] in ports
    for port in manifest["Service"]["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    labels = manifest["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert (
        manifest["Deployment"]["spec"]["selector"]["matchLabels"] == labels == manifest["Service"]["spec"]["selector"]
    )
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]} == set(volumes)
    assert (
        volumes["models"]["persistentVolumeClaim"]["claimName"] == manifest["PersistentVolumeClaim"]["metadata"]["name"]
    )
    mounts = {mount["name"]: mount for mount in server["volumeMounts"]}
    assert mounts["models"]["readOnly"]
    assert mounts["models"]["mountPath"] == "/models" == upload["volumeMounts"][0]["mountPath"]
    assert "readOnly" not in upload["volumeMounts"][0]


def test_kustomization_brings_the_files_to_where_the_flags_look(pod: dict[str, Any]) -> None:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert kustomization["resources"] == ["kubernetes.yaml"]
    (generated,) = kustomization["configMapGenerator"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["config"]["configMap"]["name"] == generated["name"]
    server = pod["containers"][0]
    folder = next(mount["mountPath"] for mount in server["volumeMounts"] if mount["name"] == "config")
    given = flags(server["args"])
    named = {given["model_config_file"], given["batching_parameters_file"]}
    assert named == {f"{folder}/{file}" for file in generated["files"]}
    assert all((DEPLOY / file).is_file() for file in generated["files"])


def test_the_containers_may_not_do_much(compose: dict[str, Any], pod: dict[str, Any]) -> None:
    assert compose["read_only"]
    assert compose["cap_drop"] == ["ALL"]
    assert compose["user"] == f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert pod["securityContext"]["runAsNonRoot"]
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_scratch_space_processes_and_connections_are_bounded(
    compose: dict[str, Any], pod: dict[str, Any], manifest: dict[str, dict[str, Any]]
) -> None:
    assert all("size=" in mount for mount in compose["tmpfs"])
    assert compose["pids_limit"] > MOST_CLIENTS
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)
    policy = manifest["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == manifest["Deployment"]["spec"]["selector"]
    assert (set(policy["policyTypes"]), policy["egress"]) == ({"Ingress", "Egress"}, [])
    ports = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert ports == {port["name"] for port in pod["containers"][0]["ports"]}


@pytest.mark.skipif(not shutil.which("bash"), reason="the health check is a line of bash")
def test_the_health_check_fails_without_a_server(compose: dict[str, Any], service: Addresses) -> None:
    kind, *command = compose["healthcheck"]["test"]
    assert kind == "CMD"
    port = service.rest.rpartition(":")[2]

    def healthy(change: str, by: str) -> bool:
        changed = [word.replace(change, by).replace("8501", port) for word in command]
        return subprocess.run(changed, timeout=20, capture_output=True, check=False).returncode == 0

    assert healthy("", "")
    assert not healthy("/v1/models/translator", "/v1/models/another")
    assert not healthy("8501", service.grpc.rpartition(":")[2])
    assert not healthy("8501", "1")


def test_the_readmes_curl_commands_are_answered(service: Addresses) -> None:
    commands = re.findall(r"^ +curl localhost:8501(\S+)(?: -d '(.*)')?$", (DEPLOY / "README.md").read_text(), re.M)
    assert len(commands) == 4
    for path, body in commands:
        request = urllib.request.Request(f"http://{service.rest}{path}", body.encode() or None)
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
        assert set(answer) & {"predictions", "outputs", "model_version_status"}
        if "instances" in body:
            assert len(answer["predictions"]) == len(json.loads(body)["instances"])


def test_the_readmes_docker_line_has_the_files_where_it_says(compose: dict[str, Any]) -> None:
    text = (DEPLOY / "README.md").read_text()
    (command,) = re.findall(r"^ +docker run (.*?[^\\])$", text, re.M | re.S)
    given = flags(re.findall(r"--\w+=\S+", command))
    expected = flags(compose["command"])
    assert given
    assert given == {name: value for name, value in expected.items() if name in given}
    assert '"$PWD:/config:ro"' in command


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl")
def test_kubectl_builds_what_it_would_send() -> None:
    command = ["kubectl", "kustomize", str(DEPLOY)]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    parts = {part["kind"]: part for part in yaml.safe_load_all(built)}
    files = {name: (DEPLOY / name).read_text() for name in ("models.config", "batching.config")}
    assert parts["ConfigMap"]["data"] == files
    volumes = {volume["name"]: volume for volume in parts["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == parts["ConfigMap"]["metadata"]["name"]


@pytest.mark.skipif(not shutil.which("tar") or not shutil.which("bash"), reason="there is no tar or no bash")
def test_the_readmes_way_to_the_volume_brings_the_whole_version(tmp_path: Path) -> None:
    (command,) = re.findall(r"^ +(tar .*\\\n.*)$", (DEPLOY / "README.md").read_text(), re.M)
    here = command.replace("kubectl exec -i deployment/translator -c upload -- ", "").replace(
        "/models/", f"{tmp_path}/"
    )
    assert "kubectl" not in here
    (tmp_path / "laptop" / "models" / "translator").mkdir(parents=True)
    save_stand_in(tmp_path / "laptop" / "models" / "translator")
    for version in ("1", "2"):
        step = here.replace("-cf - 1", f"-cf - {version}").replace("/1", f"/{version}")
        subprocess.run(["bash", "-c", step], cwd=tmp_path / "laptop", check=True, timeout=60)
        sent = tmp_path / "laptop" / "models" / "translator" / version
        assert names(sent) == names(tmp_path / "translator" / version)
        assert "saved_model.pb" in names(sent)
        sent.rename(sent.with_name("2"))
    assert sorted(path.name for path in (tmp_path / "translator").iterdir()) == ["1", "2"]
