"""`tidings demo`: watch a day of each message system in about a minute."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Watch a day's messages leave at their exact times; nothing leaves this machine.")

Seconds = Annotated[float, typer.Option(min=5, max=3600, help="How long the day takes.")]
People = Annotated[int, typer.Option(min=2, max=2000, help="How many people come.")]
Stay = Annotated[bool, typer.Option("--stay", help="Keep running afterwards, until Ctrl-C.")]


@app.callback(invoke_without_command=True)
def demo(context: typer.Context, seconds: Seconds = 55.0, people: People = 40, stay: Stay = False) -> None:
    """Watch the messages of a conference day leave at their exact times. Nothing leaves this machine."""
    if context.invoked_subcommand is None:
        from tidings.cli.demo.conference import ConferenceDay
        from tidings.cli.demo.rehearsal import rehearse

        rehearse(lambda: ConferenceDay(seconds, people), stay=stay)


@app.command("followups")
def demo_followups(seconds: Seconds = 55.0, people: People = 24, stay: Stay = False) -> None:
    """A day of CRM follow-ups in four timezones: quiet hours, a slow carrier, an A/B test, replies and a STOP."""
    from tidings.cli.demo.followups import FollowUpDay
    from tidings.cli.demo.rehearsal import rehearse

    rehearse(lambda: FollowUpDay(seconds, people), stay=stay)


@app.command("proactive")
def demo_proactive(seconds: Seconds = 55.0, people: People = 24, stay: Stay = False) -> None:
    """A day of proactive messages: hourly triggers, approvals, delivery cycles, trust that rises and falls."""
    from tidings.cli.demo.proactive import ProactiveDay
    from tidings.cli.demo.rehearsal import rehearse

    rehearse(lambda: ProactiveDay(seconds, people), stay=stay)


@app.command("shop")
def demo_shop(
    seconds: Seconds = 55.0,
    recipients: Annotated[int, typer.Option(min=200, max=3_000, help="How many the campaign goes to.")] = 2_000,
    stay: Stay = False,
) -> None:
    """A day of two shops side by side: orders, carts, a campaign whose totals add up, and a STOP to one of them."""
    from tidings.cli.demo.rehearsal import rehearse
    from tidings.cli.demo.shops import ShopDay

    rehearse(lambda: ShopDay(seconds, recipients), stay=stay)


@app.command("chat")
def demo_chat(
    seconds: Annotated[float, typer.Option(min=5, max=600, help="How long the scripted chat takes.")] = 20.0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the widget is served; 0 is any free one.")] = 0,
    scripted: Annotated[bool, typer.Option("--scripted", help="Play a chat instead of having one.")] = False,
) -> None:
    """A chat in the terminal and in the widget page, answered from a sample knowledge base without any key."""
    from tidings.cli.demo.chat import chat_demo

    chat_demo(seconds=seconds, port=port, scripted=scripted)
