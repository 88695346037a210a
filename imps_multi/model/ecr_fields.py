"""What the keys of an ECR source may hold, whether they stand in a Secret or in the policy itself.

Pure patterns with the words for what does not match; named as in a Secret. Read by the parser of inline sources and by
the catalogue's reader of Secrets, so that both refuse the same.
"""

from typing import Final, NamedTuple

ECR_TYPE: Final = "banzaicloud.io/aws-ecr-login-config"
"""The type of a Secret with these keys, as in IMPS 0.1."""
ACCOUNT_DIGITS: Final = 12
LONGEST_CHAIN: Final = 5
"""How many roles a chain may have: each is a call, and a mint has a time limit."""
ENDPOINT_NAMES: Final = ("fips", "dualstack", "fips-dualstack")


class Shape(NamedTuple):
    """A pattern for the whole of a value, and what it then is."""

    pattern: str
    what: str


ROLE: Final = Shape(r"arn:[a-z-]+:iam::[0-9]+:role/[!-~]+", "a role's ARN such as arn:aws:iam::123456789012:role/pull")
SHAPES: Final = {
    "region": Shape(r"[a-z0-9]+(-[a-z0-9]+)+", "an AWS region such as eu-west-1"),
    "accessKeyID": Shape(r"[!-~]+", "an access key ID: it holds white space or other signs"),
    "secretKey": Shape(r"[!-~]+", "a secret access key: it holds white space or other signs"),
    "sessionToken": Shape(r"[!-~]+", "a session token: it holds white space or other signs"),
    "roleArn": ROLE,
    "externalID": Shape(r"[\w+=,.@:/-]{2,1224}", "an external ID: 2 to 1224 letters, digits and +=,.@:/-"),
    "sessionName": Shape(r"[\w+=,.@-]{2,64}", "a session name: 2 to 64 letters, digits and +=,.@-"),
    "profile": Shape(r"[\w+=,.@:/-]{1,128}", "a profile's name: 1 to 128 letters, digits and +=,.@:/-"),
    "endpoint": Shape("|".join(ENDPOINT_NAMES), "fips, dualstack or fips-dualstack"),
    "public": Shape("true|false", "true or false"),
}
