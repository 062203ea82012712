"""Amazon SES v2 as it takes letters: SendEmail, signed."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from datetime import UTC, datetime

from ladenbuch.simulators.http import SimRequest, SimResponse, json_response
from ladenbuch.simulators.mail_providers.taking import (
    ADDRESS,
    ProviderSimulator,
    address_of,
    as_object,
    decoded,
    message_of,
    shown,
)

_SES = {
    "FromEmailAddress", "FromEmailAddressIdentityArn", "Destination", "ReplyToAddresses", "Content", "EmailTags",
    "FeedbackForwardingEmailAddress", "FeedbackForwardingEmailAddressIdentityArn", "ConfigurationSetName",
    "EndpointId", "TenantName", "ListManagementOptions",
}  # fmt: skip
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")


class SesSimulator(ProviderSimulator):
    """`POST /v2/email/outbound-emails`, signed. In its sandbox it writes to verified mailboxes only."""

    name = "ses"
    key_id = "AKIDSIMULATED"
    region = "eu-central-1"
    prefix = ""  # of the path, where it is served below one: the signature covers it
    configuration_sets: tuple[str, ...] = ("letters",)
    sandbox = False

    def take(self, request: SimRequest) -> SimResponse:
        """200 and the MessageId under which its events speak; the reader sees it as Message-ID, too."""
        refused = self._not_let_in(request)
        if refused is not None:
            return refused
        body = as_object(request.body)
        if body is None or set(body) - _SES:
            return _ses_error(400, "BadRequestException", "the request has a field that is not known")
        tags = {one.get("Name", ""): one.get("Value", "") for one in body.get("EmailTags", [])}
        if any(not _TAG.match(text) for pair in tags.items() for text in pair):
            return _ses_error(400, "BadRequestException", "a tag has characters that are not allowed")
        raw = decoded(((body.get("Content") or {}).get("Raw") or {}).get("Data"))
        if raw is None:
            return _ses_error(400, "BadRequestException", "Content is required")
        if len(raw) > 40 * 1024 * 1024:
            return _ses_error(400, "MessageRejected", "Message length is more than the limit")
        to = ((body.get("Destination") or {}).get("ToAddresses") or [""])[0]
        if not ADDRESS.match(to):
            return _ses_error(400, "MessageRejected", "Missing final '@domain'")
        if body.get("ConfigurationSetName") not in (None, *self.configuration_sets):
            return _ses_error(404, "NotFoundException", "Configuration set does not exist")
        message = message_of(raw)
        sender = body.get("FromEmailAddress") or address_of(message, "From")
        unknown = [one for one in (sender, *([to] if self.sandbox else [])) if not self._ours(one)]
        if unknown:
            text = f"Email address is not verified. The following identities failed the check in region: {unknown[0]}"
            return _ses_error(400, "MessageRejected", text)
        number = f"0102018{len(self.taken):09x}-{uuid.uuid4()}-000000"
        seen = f"<{number}@{self.region}.amazonses.com>"
        self._store(id=number, message_id=seen, arguments=tags, **(shown(message, to) | {"mail_from": sender}))
        return json_response({"MessageId": number})

    def _not_let_in(self, request: SimRequest) -> SimResponse | None:
        if (request.method, request.path) != ("POST", "/v2/email/outbound-emails"):
            return _ses_error(404, "UnknownOperationException", "")
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([a-z0-9-]+)/ses/aws4_request, "
            r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
            request.headers.get("authorization", ""),
        )
        if found is None:
            return _ses_error(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if found[1] != self.key_id:
            text = "The security token included in the request is invalid."
            return _ses_error(403, "UnrecognizedClientException", text)
        instant = request.headers.get("x-amz-date", "")
        try:
            at = datetime.strptime(instant, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return _ses_error(403, "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'")
        if abs((self._clock() - at).total_seconds()) > 300:
            return _ses_error(403, "InvalidSignatureException", "Signature expired")
        names = found[4].split(";")
        if not {"host", "x-amz-date"} <= set(names) or found[3] != self.region or instant[:8] != found[2]:
            return _ses_error(403, "InvalidSignatureException", "Credential should be scoped to a valid region.")
        if not hmac.compare_digest(found[5], self._signed(request, names, instant)):
            text = "The request signature we calculated does not match the signature you provided."
            return _ses_error(403, "InvalidSignatureException", text)
        return None

    def _signed(self, request: SimRequest, names: list[str], instant: str) -> str:
        canonical = [request.method, self.prefix + request.path, ""]
        canonical += [f"{name}:{request.headers.get(name, '').strip()}" for name in names]
        canonical += ["", ";".join(names), hashlib.sha256(request.body).hexdigest()]
        scope = f"{instant[:8]}/{self.region}/ses/aws4_request"
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        key = b"AWS4" + self.key.encode()
        for step in scope.split("/"):
            key = hmac.new(key, step.encode(), hashlib.sha256).digest()
        text = "\n".join(["AWS4-HMAC-SHA256", instant, scope, digest])
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def trouble(self, status: int) -> SimResponse:
        """Throttling is an exception of its own."""
        if status == 429:
            return _ses_error(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
        name = "ServiceUnavailableException" if status == 503 else "InternalServiceErrorException"
        return _ses_error(status, name, "")

    def search(self, request: SimRequest) -> SimResponse:
        """SES has no search by tag."""
        return _ses_error(404, "UnknownOperationException", "")


def _ses_error(status: int, name: str, message: str) -> SimResponse:
    return json_response({"message": message}, status, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/"})
