"""The stage of the tests of logins: a hub with a source of each kind, and two registries that take what they give.

Says who is let in, and what each may pull. Feeds the tests of logins.
"""

from dataclasses import dataclass, field

from tests.e2e.manifests import HOME, docker_source, ecr_source, policy
from tests.e2e.registry import Registry
from tests.e2e.site import Site
from tests.kubelet import Login
from tests.realcluster.client import Manifest
from tests.realcluster.cluster import RealCluster
from tests.realregistry.runtime import Image, push
from tests.realregistry.server import DockerRegistry, PasswordFile
from tests.realregistry.tokens import CLIENT, CLIENT_SECRET, TokenServer, WrongLoginError

KINDS = ("passwords", "tokens", "minted", "oauth2")
TEAMS = ("team-0", "team-1", "team-2")
PUSHER = Login("pusher", "pusher-password")
FIRST, SECOND = Login("robot", "first-password"), Login("robot-2", "second-password")
ONE, OTHER = Login("team", "a first password"), Login("team", 'a:second "pässword"/&<>')
CONTENT = b"a layer" * 100


class Accounts:
    """Who the token server knows: the pusher, the teams, and whoever comes with a minted token that is valid."""

    def __init__(self, ecr: Registry) -> None:
        self._ecr = ecr
        self.teams = {ONE}
        self.access_tokens: list[str] = []

    def rule(self, username: str, password: str, repository: str) -> set[str]:
        """Say what is granted: pulls of what is one's own."""
        login = Login(username, password)
        if login == PUSHER:
            return {"pull", "push"}
        return {"pull"} if repository.startswith(f"{self._kind(login)}/") else set()

    def _kind(self, login: Login) -> str:
        if login.username == "AWS" and self._ecr.ecr.is_valid(login.password):
            return "minted"
        if login.username == "oauth2accesstoken" and login.password in self.access_tokens:
            return "oauth2"
        if login in self.teams:
            return "tokens"
        raise WrongLoginError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The hub, and two registries: one that reads a file of passwords, one that believes a token server."""

    cluster: RealCluster
    site: Site
    ecr: Registry
    passwords: PasswordFile
    by_password: DockerRegistry
    accounts: Accounts
    tokens: TokenServer
    by_token: DockerRegistry
    manifests: dict[str, bytes] = field(default_factory=dict)
    """What was pushed."""

    def image(self, kind: str) -> Image:
        return Image((self.by_password if kind == "passwords" else self.by_token).host, f"{kind}/app")

    def push(self) -> None:
        for kind in KINDS:
            self.manifests[kind] = push(self.image(kind), PUSHER, content=CONTENT)

    def static(self, kind: str, login: Login) -> None:
        """Put a source of a user name and a password into the hub."""
        host = self.by_password.host if kind == "passwords" else f"{self.by_token.host}/{kind}"
        given = docker_source(kind, host=host, username=login.username, password=login.password)
        self.site.put(f"{kind}.yaml", given)

    def fill_hub(self) -> None:
        """Put one policy of four sources into the hub; minted tokens go to the registry with the token server."""
        self.static("passwords", FIRST)
        self.static("tokens", ONE)
        minted = ecr_source("minted", self.ecr)
        minted["stringData"]["registryHosts"] = f"{self.by_token.host}/minted"
        self.site.put("minted.yaml", minted)
        self.site.put("oauth2.yaml", self._oauth2())
        self.site.put("everyone.yaml", policy("everyone", sources=KINDS, namespaces={"names": ["team-*"]}))

    def _oauth2(self) -> Manifest:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "oauth2", "namespace": HOME},
            "type": "imps-multi.io/oauth2",
            "stringData": {
                "tokenURL": f"{self.tokens.url}/oauth2",
                "clientID": CLIENT,
                "clientSecret": CLIENT_SECRET,
                "registries": f"{self.by_token.host}/oauth2",
            },
        }
