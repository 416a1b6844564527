"""Scripts that packagers and cells run are free of shellcheck's findings."""
import subprocess
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent.parent.parent / "packaging"
SCRIPTS = ["add-to-archive", "completion/cf-pcap.bash", "debian/config", "debian/postinst", "debian/postrm"]


def shellcheck(*words):
    return subprocess.run(["shellcheck", "--exclude=SC1091", *words], stdout=subprocess.PIPE, text=True).stdout


def test_scripts_are_clean():
    assert shellcheck(*(PACKAGING / name for name in SCRIPTS)) == ""
    assert shellcheck("--shell=bash", PACKAGING / "bosh/packages/cf-pcap/packaging") == ""


def test_rendered_job_scripts_are_clean(render, scratch):
    for template in ("cf_pcap_pre_start.erb", "cf_pcap_asset.erb"):
        for value in ("true", "false"):
            for policy in ("", "headers-only"):
                script = scratch / "script"
                script.write_text(render(template, f"diego.rep.enable_cf_pcap={value}", f"diego.rep.cf_pcap_policy={policy!r}"))
                assert shellcheck(script) == ""
