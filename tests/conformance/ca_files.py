#!/usr/bin/env python3
"""The gateway's own CA on the command line: made once, what OpenSSL's own command says of it, and who hears of it."""
import json
import os

from harness import *

AREA = "ca"
gw = Gateway()
place = os.path.join(gw.state, "ca")


def ca(*words):
    return gw.command("ca", *words)


def file(name):
    return os.path.join(place, name)


def listed():
    return json.loads(ca("list", "--json").stdout)


def verified(name, purpose="sslserver"):
    return run("openssl", "verify", "-x509_strict", "-purpose", purpose, "-crl_check", "-CAfile", file("ca.pem"), "-CRLfile", file("crl.pem"), file(name))


done = ca("list")
check(AREA, "before there is a CA, its list says how one is made", done.returncode == 3 and "sallyport ca init" in done.stderr, done.stderr)
done = ca("init")
check(AREA, "without a name or an address there is no certificate: that is said", done.returncode == 2 and "--name" in done.stderr, done.stderr)
done = ca("init", "--name", "gw.example.net:3261")
check(AREA, "a name with a port is none", done.returncode == 2 and not os.path.exists(file("ca.pem")), done.stderr)
done = ca("init", "--name", "gw.example.net", "--name", "127.0.0.1")
check(AREA, "init makes the CA without a gateway, and says that none runs", done.returncode == 0 and "No gateway runs" in done.stderr, done.stderr)
check(AREA, "nothing of it goes to stdout", done.stdout == "", done.stdout)
check(AREA, "P3: its files are the owner's alone", all(os.stat(file(n)).st_mode & 0o77 == 0 for n in os.listdir(place)), os.listdir(place))
check(AREA, "P3: no private key is in the clear", b"PRIVATE" not in b"".join(open(file(n), "rb").read() for n in os.listdir(place) if os.path.isfile(file(n))))
done = verified("portal.pem")
check(AREA, "OpenSSL's own command verifies the portals' certificate for servers", done.returncode == 0, done.stdout + done.stderr)
done = verified("portal.pem", "sslclient")
check(AREA, "and not for clients", done.returncode != 0, done.stdout)
text = run("openssl", "x509", "-in", file("portal.pem"), "-noout", "-ext", "subjectAltName").stdout
check(AREA, "it has the names that were given", "DNS:gw.example.net, IP Address:127.0.0.1" in text, text)
text = run("openssl", "crl", "-in", file("crl.pem"), "-noout", "-text", "-CAfile", file("ca.pem"))
check(AREA, "the list of what was revoked is the CA's, and empty", text.returncode == 0 and "No Revoked Certificates" in text.stdout, text.stdout + text.stderr)
first = open(file("ca.pem")).read()
done = ca("init", "--name", "gw.example.net")
check(AREA, "a second init changes nothing", done.returncode == 3 and "renew" in done.stderr and open(file("ca.pem")).read() == first, done.stderr)

# --- renew ----------------------------------------------------------------------------------------------------------------
before = listed()
done = ca("renew", "--name", "storage.example.net")
after = listed()
check(AREA, "renew makes another certificate, with one name more", done.returncode == 0 and before["portal"]["serial"] != after["portal"]["serial"]
      and after["portal"]["names"] == ["gw.example.net", "127.0.0.1", "storage.example.net"] and after["ca"] == before["ca"], after)
check(AREA, "of the same CA", verified("portal.pem").returncode == 0)
done = ca("renew", "--only", "--name", "gw.example.net")
check(AREA, "--only takes the others away", listed()["portal"]["names"] == ["gw.example.net"], done.stderr)

# --- revoke ---------------------------------------------------------------------------------------------------------------
done = ca("revoke", "iqn.2026-11.net.example:nobody")
check(AREA, "who has no certificate can't lose one: status 1", done.returncode == 1 and "ca list" in done.stderr, done.stderr)

# --- another key of the secrets -------------------------------------------------------------------------------------------
done = gw.command("secret", "rotate", "--key", "file")
check(AREA, "another key of the secrets seals the CA again", done.returncode == 0 and ca("renew").returncode == 0, done.stderr)
key = open(str(gw.state) + ".key", "rb").read()
with open(str(gw.state) + ".key", "wb") as f:
    f.write(bytes(32))
done = ca("renew")
check(AREA, "under a wrong key nothing is opened", done.returncode == 3 and "key" in done.stderr, done.stderr)
with open(str(gw.state) + ".key", "wb") as f:
    f.write(key)
sealed = open(file("ca.key"), "rb").read()
with open(file("ca.key"), "wb") as f:
    f.write(sealed[:-1] + bytes([sealed[-1] ^ 1]))
done = ca("renew")
check(AREA, "a key that somebody touched is refused", done.returncode == 3 and "ca.key" in done.stderr and "damaged" in done.stderr, done.stderr)
with open(file("ca.key"), "wb") as f:
    f.write(sealed)

# --- with a gateway -------------------------------------------------------------------------------------------------------
gw.start()
done = ca("renew")
check(AREA, "a running gateway hears of a change", done.returncode == 0 and "running gateway has" in done.stderr, done.stderr)
check("audit", "and who made it is in the audit log",
      wait_for(lambda: any(e.get("detail", "").startswith("ca renew, uid ") for e in gw.audit("--op", "operator"))), gw.audit("--op", "operator"))
gw.close()
finish()
