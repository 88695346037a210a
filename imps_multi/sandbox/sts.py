"""The answers of STS: AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity, in its XML.

Pure but for the keys that it has made. Fed by the ECR endpoint, which serves both.
"""

from collections.abc import Mapping
from datetime import UTC
from xml.sax.saxutils import escape

from imps_multi.sandbox.ecr_faults import Refusal
from imps_multi.sandbox.identities import Identities, Session

__all__ = ["answer", "fault"]

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_DEFAULT_SECONDS = "3600"


def answer(action: str, form: Mapping[str, str], identities: Identities, access_key: str) -> bytes | None:
    """Return the answer to a call, or None where there is no such action.

    Raises:
        Refusal: The role's trust does not allow it.
    """
    if action == "GetCallerIdentity":
        identity = identities.identity(access_key)
        fields = {"Arn": identity.arn, "UserId": access_key, "Account": identity.account}
        return _wrap(action, _elements(fields))
    if action in {"AssumeRole", "AssumeRoleWithWebIdentity"}:
        seconds = int(form.get("DurationSeconds", _DEFAULT_SECONDS))
        role, name = form["RoleArn"], form.get("RoleSessionName", "")
        if action == "AssumeRole" and not identities.trusts(
            role, access_key, session_name=name, external_id=form.get("ExternalId", "")
        ):
            raise Refusal("AccessDenied", f"not authorized to perform: sts:AssumeRole on resource: {role}", 403)
        if action != "AssumeRole" and not identities.vouches(form.get("WebIdentityToken", ""), role):
            raise Refusal("InvalidIdentityToken", "No OpenIDConnect provider vouches for this token", 400)
        session = identities.take_role(role, name, seconds)
        return _wrap(action, _session(session))
    return None


def fault(code: str, message: str) -> bytes:
    """Return an error."""
    inner = _elements({"Type": "Sender", "Code": code, "Message": message})
    return f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{inner}</Error></ErrorResponse>'.encode()


def _session(session: Session) -> str:
    credentials = _elements(
        {
            "AccessKeyId": session.credential.access_key,
            "SecretAccessKey": session.credential.secret_key,
            "SessionToken": session.credential.session_token,
            "Expiration": session.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    user = _elements({"AssumedRoleId": session.credential.access_key, "Arn": session.identity.arn})
    return f"<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>"


def _elements(fields: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())


def _wrap(action: str, inner: str) -> bytes:
    result = (
        f"<{action}Result>{inner}</{action}Result><ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata>"
    )
    return f'<{action}Response xmlns="{_NAMESPACE}">{result}</{action}Response>'.encode()
