"""An OpenID Connect provider on loopback, made of Authlib's own server side: discovery, authorization code with PKCE,
signed ID token, userinfo, sign-out. It can be made to misbehave."""

# mypy: disable-error-code=misc
# Authlib has no types: every class that a server of it is made of would count as `Any`.

from __future__ import annotations

import secrets
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import anyio
import uvicorn
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT = ("console", "client-secret")


class Client(ClientMixin):
    def __init__(self, redirects: set[str], secret: str, methods: list[str]) -> None:
        self.redirects = redirects
        self.secret = secret
        self.methods = methods

    def get_client_id(self) -> str:
        return CLIENT[0]

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return not self.redirects or redirect_uri in self.redirects

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(client_secret.encode(), self.secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in self.methods

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Provider:
    """Signs everybody in as `claims`, without asking. `tamper` changes an ID token's claims, `sign_with` the key that
    signs it, `delay` (seconds) every answer, `skew` (seconds) its clock; `redirects`, when not empty, are the only
    addresses it sends browsers back to. `secret` is the client's as it must come, by one of `methods`."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "u-17", "name": "Dana Okafor", "groups": ["reviewer"]}
        self.userinfo_claims: dict[str, Any] = {}
        self.userinfo_status = 200
        self.tamper: dict[str, Any] = {}
        self.published_issuer = ""
        self.delay = 0.0
        self.skew = 0
        self.padding = 0
        self.redirects: set[str] = set()
        self.secret = CLIENT[1]
        self.methods = ["client_secret_basic", "client_secret_post"]
        self.key = self.sign_with = new_key()
        self.codes: dict[str, Code] = {}
        self.signed_out = 0
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._oauth = _Server(self)
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/jwks", self._jwks),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/userinfo", self._userinfo),
                Route("/end", self._end),
            ]
        )
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def rotate(self, *, same_name: bool = False) -> None:
        """New keys; with `same_name` under the old key's id."""
        self.key = self.sign_with = new_key(self.key.kid if same_name else None)

    async def _discovery(self, request: Request) -> Response:
        await anyio.sleep(self.delay)
        return JSONResponse(
            {
                "issuer": self.published_issuer or self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "end_session_endpoint": f"{self.issuer}/end",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
                "padding": "x" * self.padding,
            }
        )

    async def _jwks(self, _: Request) -> Response:
        await anyio.sleep(self.delay)
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _authorize(self, request: Request) -> Response:
        asked = OAuth2Request("GET", _secure(request), headers=dict(request.headers))
        asked.payload = BasicOAuth2Payload(dict(request.query_params))
        try:
            grant = self._oauth.get_consent_grant(asked, end_user=self)
        except OAuth2Error as error:
            return HTMLResponse(f"<h1>{error.error}</h1>", 400)
        if request.query_params.get("prompt") == "none":
            back = {"error": "login_required", "state": request.query_params["state"]}
            return RedirectResponse(f"{request.query_params['redirect_uri']}?{urlencode(back)}", 302)
        answer: Response = self._oauth.create_authorization_response(asked, grant_user=self, grant=grant)
        return answer

    async def _token(self, request: Request) -> Response:
        await anyio.sleep(self.delay)
        fields = {key: str(value) for key, value in (await request.form()).items()}
        asked = _TokenRequest(_secure(request), {key.title(): value for key, value in request.headers.items()}, fields)
        answer: Response = self._oauth.create_token_response(asked)
        return answer

    async def _userinfo(self, _: Request) -> Response:
        await anyio.sleep(self.delay)
        return JSONResponse(self.claims | self.userinfo_claims, self.userinfo_status)

    async def _end(self, request: Request) -> Response:
        self.signed_out += 1
        back = request.query_params["post_logout_redirect_uri"]
        return HTMLResponse(f'<h1>Signed out of the provider</h1><a href="{back}">Back</a>')


class _TokenRequest(OAuth2Request):
    def __init__(self, address: str, headers: dict[str, str], fields: dict[str, str]) -> None:
        super().__init__("POST", address, headers=headers)
        self.payload = BasicOAuth2Payload(fields)
        self._fields = fields

    @property
    def form(self) -> dict[str, str]:
        return self._fields


class _Server(AuthorizationServer):
    """Authlib's authorization server over Starlette's answers."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(scopes_supported=["openid", "profile", "email"])
        self._provider = provider
        self.register_token_generator("default", BearerTokenGenerator(lambda **_: secrets.token_urlsafe(16)))

        class Grant(AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012

            def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
                data = request.payload.data
                provider.codes[code] = Code(
                    code=code,
                    redirect_uri=data["redirect_uri"],
                    scope=data["scope"],
                    nonce=data["nonce"],
                    code_challenge=data["code_challenge"],
                    code_challenge_method=data["code_challenge_method"],
                )

            def query_authorization_code(self, code: str, client: Client) -> Code | None:
                return provider.codes.get(code)

            def delete_authorization_code(self, authorization_code: Code) -> None:
                provider.codes.pop(authorization_code.code, None)

            def authenticate_user(self, authorization_code: Code) -> Provider:
                return provider

        class IdToken(OpenIDCode):
            def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
                return any(code.nonce == nonce for code in provider.codes.values())

            def resolve_client_private_key(self, client: Client) -> RSAKey:
                return provider.sign_with

            def get_client_algorithm(self, client: Client) -> str:
                return "RS256"

            def get_encode_header(self, client: Client) -> dict[str, str]:
                return {"alg": "RS256", "kid": str(provider.sign_with.kid)}

            def get_compatible_claims(self, request: OAuth2Request) -> dict[str, Any]:
                now = int(time.time()) + provider.skew
                return {"iss": provider.issuer, "aud": [CLIENT[0]], "iat": now, "exp": now + 300}

            def generate_user_info(self, user: Provider, scope: str) -> dict[str, Any]:
                return user.claims | user.tamper

        self.register_grant(Grant, [CodeChallenge(required=True), IdToken(require_nonce=True)])

    def query_client(self, client_id: str) -> Client | None:
        provider = self._provider
        known = client_id == CLIENT[0]
        return Client(provider.redirects, provider.secret, provider.methods) if known else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None: ...

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None: ...

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
        response = JSONResponse(body, status) if isinstance(body, dict) else Response(body, status)
        response.headers.update(dict(headers))
        return response


def _secure(request: Request) -> str:
    """The address as Authlib's server wants it: it refuses http, which loopback is."""
    return str(request.url.replace(scheme="https"))


def new_key(name: str | None = None) -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "kid": name or secrets.token_hex(4)}, private=True)
