"""A Diego cell's folders as diego-release's setup_mounted_data_dirs leaves them, and vcap's hands in them."""
import json
import os
import subprocess
import time

from file_capabilities import capable_files

VCAP = 1000  # on the host
PROPERTY = "diego.rep.enable_cf_pcap"
POLICY_PROPERTY = "diego.rep.cf_pcap_policy"
GARDEN = "rep/shared/garden"
CACHE = f"{GARDEN}/download_cache"
# Those of the rep's folders that are vcap's. GARDEN is root's, and a mount of its own.
OF_VCAP = ("rep", "rep/tmp", "rep/shared", CACHE, f"{GARDEN}/proxy_config")


def spec_of(path):
    script = "require 'yaml'; require 'json'; puts YAML.load_file(ARGV[0]).to_json"
    return json.loads(subprocess.run(["ruby", "-e", script, path], check=True, stdout=subprocess.PIPE).stdout)


def as_vcap(*words, capabilities=()):
    """Runs a command as the rep runs: vcap, with no capability but these."""
    listed = ",".join(f"+{name}" for name in capabilities) or "-all"
    subprocess.run(["setpriv", f"--reuid={VCAP}", f"--regid={VCAP}", "--clear-groups", f"--inh-caps={listed}",
                    f"--ambient-caps={listed}", *words], check=True, stderr=subprocess.DEVNULL)


def own(path, content=b"x"):
    path.write_bytes(content)
    os.chown(path, VCAP, VCAP)
    return path


class Cell:
    """/var/vcap of a Diego cell; commands of root's see it in its place, in their own mount namespace."""

    def __init__(self, folder, package, render):
        self.folder, self.package, self.render = folder, package, render
        self.data = folder / "data"
        self.cache = self.data / CACHE
        (folder / "healthcheck").mkdir()
        for name in OF_VCAP:
            (self.data / name).mkdir(parents=True, exist_ok=True)
            os.chown(self.data / name, VCAP, VCAP)
        (self.data / "rep").chmod(0o700)
        (self.data / "rep/shared").chmod(0o700)

    def run(self, script):
        """Returns what it prints, or raises CalledProcessError with it."""
        (self.folder / "script").write_text(script)
        prepare = f"""set -e
            mount -t tmpfs tmpfs /var
            mkdir -p /var/vcap/packages/healthcheck /var/vcap/data /var/vcap/jobs/rep/config
            [ ! -f {self.folder}/policy ] || install -m 0640 -g {VCAP} {self.folder}/policy /var/vcap/jobs/rep/config/cf-pcap.policy
            ln -s {self.package} /var/vcap/packages/cf-pcap
            mount --bind {self.folder}/healthcheck /var/vcap/packages/healthcheck
            mount --bind {self.data} /var/vcap/data
            [ ! -d /var/vcap/data/{GARDEN} ] || mount --bind /var/vcap/data/{GARDEN} /var/vcap/data/{GARDEN}
            exec sh {self.folder}/script"""
        return subprocess.run(["unshare", "--mount", "sh", "-c", prepare], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True).stdout

    def run_template(self, name, enabled, policy=""):
        """With the properties as BOSH renders all of the job's templates."""
        properties = f"{PROPERTY}={str(enabled).lower()}", f"{POLICY_PROPERTY}={json.dumps(policy)}"
        (self.folder / "policy").write_text(self.render("cf_pcap_policy.erb", *properties))
        return self.run(self.render(name, *properties))

    def pre_start(self, enabled, policy=""):
        return self.run_template("cf_pcap_pre_start.erb", enabled, policy)

    def pre_start_under_attack(self, least_s, word, *properties):
        """The log of each run, for so long, and until one has the word: on a slow machine one run takes long."""
        begun, found = time.monotonic(), False
        while (passed := time.monotonic() - begun) < least_s or (not found and passed < 180):
            try:
                log = self.pre_start(True, *properties)
            except subprocess.CalledProcessError as failure:
                log = failure.stdout
                assert "FAILED" in log  # said, not hidden
            found |= word in log
            yield log

    def unpack(self, archive, key, capabilities=()):
        """As the rep does it: without SETFCAP the capability is lost without a word."""
        folder = self.cache / f"{key}.d"
        folder.mkdir()
        os.chown(folder, VCAP, VCAP)
        as_vcap("tar", "-xzf", archive, "--xattrs", "--xattrs-include=*", "-C", folder,
                capabilities=capabilities)
        return folder

    def change_owners(self):
        """What setup_mounted_data_dirs does before every start of rep."""
        subprocess.run(["chown", "-R", f"{VCAP}:{VCAP}", self.cache], check=True)

    def capable(self):
        return capable_files(self.cache)
