"""DynamoDB's answers as they are: no walk through the service's model for every attribute.

botocore's parser follows the model value by value, which for an item of 14 fields costs more
than the rest of the call. The wire format of DynamoDB is the very shape that the parser
gives back, but for binary values, which Stepwell does not store. Errors go botocore's way.
Of the other services' answers, some names are read, and no times.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.parsers import JSONParser, ResponseParserError, ResponseParserFactory

_REDIRECT = 300
_SERVER_ERROR = 500


class PlainJsonParser(JSONParser):
    """Parses a successful answer with one ``json.loads``."""

    def parse(self, response: Any, shape: Any) -> Any:
        """Parse an answer: ``body``, ``headers``, ``status_code``."""
        status = response["status_code"]
        if status >= _SERVER_ERROR:
            return super().parse(response, shape)
        try:
            parsed = json.loads(response["body"])
        except ValueError as error:
            raise ResponseParserError("The answer is cut short.") from error
        if not isinstance(parsed, dict):
            raise ResponseParserError("The answer is no object.")
        if status >= _REDIRECT:
            return super().parse(response, shape)
        headers = response["headers"]
        parsed["ResponseMetadata"] = {
            "HTTPStatusCode": status,
            "HTTPHeaders": headers,
            "RequestId": headers.get("x-amzn-requestid", ""),
        }
        return parsed


class PlainJsonParserFactory(ResponseParserFactory):
    """Gives the plain parser for the JSON protocol, botocore's own for any other."""

    def create_parser(self, protocol_name: str) -> Any:
        """Give the parser of a protocol."""
        if protocol_name == "json":
            return PlainJsonParser()
        return super().create_parser(protocol_name)
