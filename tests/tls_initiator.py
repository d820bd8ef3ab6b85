"""The tests' initiator through TLS, without a tunnel: Python's own TLS in the place of the socket."""
import hashlib, ssl

from initiator import *


class TlsInitiator(Initiator):
    def __init__(self, port, ca, identity, alpn="iscsi", trusts_all=False, version=None, **more):
        """`identity`: (certificate, key) as files, or None. `trusts_all`: whoever is at the other end. `version`: of TLS, no newer one."""
        super().__init__(port, **more)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        if version:
            context.maximum_version = version
        if trusts_all:
            context.verify_mode = ssl.CERT_NONE
        context.load_verify_locations(ca.pem)
        if alpn:
            context.set_alpn_protocols([alpn])
        if identity:
            context.load_cert_chain(*identity)
        try:
            self.socket = context.wrap_socket(self.socket)
        except OSError:
            self.socket.close()
            raise

    def exactly(self, n):
        try:
            return super().exactly(n)
        except ssl.SSLError as error:  # an alert, or the end without one
            raise Gone from error

    def server_fingerprint(self):
        return "sha256:" + hashlib.sha256(self.socket.getpeercert(binary_form=True)).hexdigest()
