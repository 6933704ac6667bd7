"""How somebody sees the events of the desk."""

from alerts.bureau import policies
from alerts.bureau.policy import Policy
from alerts.life import incidents
from alerts.rights import Person
from server.desk import bureau, policy_file
from server.store.connection import Connection
from server.web.context import Context


async def view(conn: Connection, context: Context, person: Person | None) -> incidents.View:
    """Give the view of a person, or of anybody, by the policy in force."""
    policy = await policies.in_force(conn, policy_file(context.settings))
    return of(context, person=person, policy=policy)


def of(context: Context, *, person: Person | None, policy: Policy) -> incidents.View:
    """Give the view of a person, by a policy."""
    return incidents.View(
        catalogue=context.catalogue,
        bureau=bureau(context.settings),
        now=context.live.now,
        person=person,
        two=policy.approval.two,
    )
