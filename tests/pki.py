"""Certificates for the tests of TLS, made by the openssl command: a CA, servers, clients, and all that is wrong with them."""
import pathlib, subprocess, tempfile

CONFIG = """\
[ca]
default_ca = here
[here]
dir = {folder}
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = any
unique_subject = no
default_crl_days = 30
[any]
commonName = supplied
[req]
distinguished_name = none
[none]
"""


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise SystemExit(f"FAIL pki: openssl {' '.join(map(str, words))}\n{done.stderr}")
    return done.stdout


class CA:
    """A certificate authority in a folder of its own."""

    def __init__(self, name="ca"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"pki-{name}-"))
        self.folder.chmod(0o755)
        self.config = self.folder / "openssl.cnf"
        self.config.write_text(CONFIG.format(folder=self.folder))
        (self.folder / "index").touch()
        (self.folder / "serial").write_text("1000\n")
        self.pem, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
                self.pem, "-days", 90, "-subj", f"/CN=Test {name}", "-config", self.config, "-addext",
                "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, san, usage="serverAuth", algorithm="P-256", begins="", ends=""):
        """(certificate, key): files; `begins` and `ends` as YYYYMMDDHHMMSSZ."""
        key, request, pem, extensions = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
        kinds = {"P-256": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "P-384": ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
                 "Ed25519": ("ed25519",), "RSA": ("rsa:2048",), "RSA-PSS": ("rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048")}
        openssl("req", "-new", "-newkey", *kinds[algorithm], "-nodes", "-keyout", key, "-out", request, "-subj",
                f"/CN={name}", "-config", self.config)
        extensions.write_text(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                              f"extendedKeyUsage={usage}\nsubjectAltName={san}\n")
        openssl("ca", "-batch", "-config", self.config, "-in", request, "-out", pem, "-extfile", extensions, "-notext", "-days",
                60, *(["-startdate", begins] if begins else []), *(["-enddate", ends] if ends else []))
        return pem, key

    def server(self, name="localhost", san="DNS:localhost,IP:127.0.0.1,IP:::1", **more):
        return self.issue(name, san, **more)

    def client(self, initiator, name="client", **more):
        return self.issue(name, f"URI:iscsi:{initiator}", usage="clientAuth", **more)

    def revoke(self, pem):
        openssl("ca", "-batch", "-config", self.config, "-revoke", pem)

    def crl(self, seconds=None):
        file = self.folder / "crl.pem"
        openssl("ca", "-batch", "-config", self.config, "-gencrl", "-out", file, *(["-crlsec", seconds] if seconds else []))
        return file


def fingerprint(pem):
    """As a policy has it."""
    text = openssl("x509", "-in", pem, "-noout", "-fingerprint", "-sha256")
    return "sha256:" + text.split("=", 1)[1].strip().replace(":", "").lower()
