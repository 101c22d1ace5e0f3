"""Plans, customers, chatbots and WhatsApp accounts over HTTP. Secrets come in and never go out again."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from tidings.features.chat.fields import Content
from tidings.features.chat.models import UsageKind
from tidings.features.chat.widget.look import WidgetLook
from tidings.fields import Id, Input, Name, Output, Storable


def _price(text: str) -> str:
    try:
        price = Decimal(text)
    except ArithmeticError:
        raise ValueError("is no amount; write one like 49.90") from None
    if not price.is_finite() or not 0 <= price < 10**9:
        raise ValueError("is no amount that a plan can cost; write one like 49.90")
    return f"{price:f}"


def _origin(text: str) -> str:
    scheme, _, host = text.rstrip("/").partition("://")
    if scheme not in ("http", "https") or not host or any(character in host for character in "/?#@ "):
        raise ValueError(f"{text!r} is no origin; write one like https://shop.example")
    return text.rstrip("/").lower()


def _meta_id(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and len(text) >= 10):
        raise ValueError("is no ID of Meta's; copy the digits that WhatsApp Manager shows")
    return text


def _secret(text: str) -> str:
    if not all("!" <= character <= "~" for character in text):
        raise ValueError("holds a space or a character that no secret has; copy it again")
    return text


Price = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20), AfterValidator(_price)]
Origins = Annotated[
    list[Annotated[str, StringConstraints(strip_whitespace=True, max_length=300), Storable, AfterValidator(_origin)]],
    Field(max_length=50),
]
Prompt = Annotated[str, StringConstraints(max_length=20_000), Storable]
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\w.:/@+-]{1,100}$")]
Seconds = Annotated[float, Field(ge=0, le=8)]
MetaId = Annotated[str, StringConstraints(strip_whitespace=True, max_length=32), AfterValidator(_meta_id)]
SessionId = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Secret = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=8, max_length=2000), AfterValidator(_secret)
]


class PlanIn(Input):
    """A plan; `monthly_price` is in US dollars."""

    name: Name
    monthly_price: Price

    @field_validator("monthly_price", mode="before")
    @classmethod
    def _number_as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


class PlanOut(Output):
    id: int
    name: str
    monthly_price: str


class CustomerIn(Input):
    """A business that has chatbots."""

    name: Name
    plan_id: Id | None = None


class ChatCustomerOut(Output):
    id: int
    name: str
    plan_id: int | None


class PlanChoice(Input):
    """The plan to put a customer on; null for none."""

    plan_id: Id | None


class WhatsAppTemplate(Input):
    """An approved template for users who wrote more than 24 hours ago.

    `with_text`: its body has one parameter, which is the message on one line. `category` is Meta's: a marketing
    template goes to nobody who stopped marketing messages.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")]
    with_text: bool = False
    category: Literal["utility", "marketing"] = "utility"


class ChatbotIn(Input):
    """A chatbot. `debounce` is how many seconds of silence end a burst of messages, which is answered at the latest
    15 seconds after it began; in the widget whoever is typing is not silent."""

    customer_id: Id
    name: Name
    knowledge_base_id: Id | None = None
    system_prompt: Prompt = ""
    model: ModelName | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    fallback_message: Content | None = None
    debounce: Seconds = 3.0
    human_takeover: bool = False
    keywords: bool = False
    active: bool = True
    allowed_origins: Origins = Field(default_factory=list)
    widget: WidgetLook = WidgetLook()
    whatsapp_template: WhatsAppTemplate | None = None


class ChatbotChange(Input):
    """What to change about a chatbot; fields that are left out stay."""

    name: Name | None = None
    knowledge_base_id: Id | None = None
    system_prompt: Prompt | None = None
    model: ModelName | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    fallback_message: Content | None = None
    debounce: Seconds | None = None
    human_takeover: bool | None = None
    keywords: bool | None = None
    active: bool | None = None
    allowed_origins: Origins | None = None
    widget: WidgetLook | None = None
    whatsapp_template: WhatsAppTemplate | None = None


class ChatbotOut(Output):
    id: int
    customer_id: int
    name: str
    knowledge_base_id: int | None
    system_prompt: str
    model: str | None
    temperature: float | None
    fallback_message: str | None
    debounce: float
    human_takeover: bool
    keywords: bool
    active: bool
    widget_key: str
    allowed_origins: list[str]
    widget: dict[str, Any]
    whatsapp_template: dict[str, Any] | None


class CloudAccountIn(Input):
    """A business phone number at Meta. The verify token is a text of your own, or one is made."""

    phone_number_id: MetaId
    waba_id: MetaId | None = None
    access_token: Secret
    app_secret: Secret
    verify_token: Secret | None = None


class CloudAccountOut(Output):
    id: int
    customer_id: int
    chatbot_id: int
    phone_number_id: str
    waba_id: str | None


class ConnectedCloudAccount(CloudAccountOut):
    """A new account, with the verify token that Meta's form asks for; it is shown this once."""

    verify_token: str
    webhook_path: str


class QrSessionIn(Input):
    """A session of the QR service. Its webhook secret is a text of your own, or one is made."""

    session_id: SessionId
    webhook_secret: Secret | None = None


class QrSessionOut(Output):
    id: int
    customer_id: int
    chatbot_id: int
    session_id: str
    state: str


class ConnectedQrSession(QrSessionOut):
    """A new session, with the secret that the service sends in X-Tidings-Secret; it is shown this once."""

    webhook_secret: str
    webhook_path: str


class UsageOut(Output):
    """What a customer used of one kind since a moment."""

    kind: UsageKind
    model: str | None
    quantity: int
    tokens: int | None
