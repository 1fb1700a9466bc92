"""The transaction stack of one connection: what is open, what must be sent, in what trouble it is.

Floor 2: pure, no I/O.  The shells ask it before they send and tell it what came back.
"""

from __future__ import annotations

from plainsql.errors import TransactionStateError


class Scope:
    """One transaction (`name` None) or savepoint, as its user holds it.

    `wrote_before`: something was written in the transaction before the savepoint was set.
    """

    __slots__ = ("is_active", "name", "wrote_before")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.is_active = True
        self.wrote_before = False


class Nesting:
    """The stack of scopes, from the outermost inwards, and the state of trouble.

    `open` is true while BEGIN stands on the server.  `failed`: the server accepts only a
    rollback, to an enclosing savepoint or of everything, and that heals.  `doomed`: the
    savepoints are gone, and only the rollback of the outermost heals.  `worked` is true when a
    statement succeeded since BEGIN.  `reason` tells what caused the trouble.
    """

    __slots__ = ("doomed", "failed", "open", "reason", "scopes", "worked")

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.open = self.failed = self.doomed = self.worked = False
        self.reason = ""

    def clear(self) -> None:
        """Forget everything: the transaction is over."""
        for scope in self.scopes:
            scope.is_active = False
        self.scopes = []
        self.open = self.failed = self.doomed = self.worked = False
        self.reason = ""

    @property
    def in_trouble(self) -> bool:
        """Tell whether only a rollback is accepted."""
        return self.failed or self.doomed

    def enter(self, scope: Scope) -> None:
        """Put the outermost scope on the stack, or refuse because there is one."""
        if self.scopes:
            raise TransactionStateError(
                "a transaction is already begun on this connection; "
                "use begin_nested() for a savepoint, or commit() or rollback() first"
            )
        self.scopes.append(scope)

    def next_savepoint(self) -> str:
        """Return the name of the next savepoint: unique within the stack."""
        return f"plainsql_{len(self.scopes)}"

    def require_usable(self) -> None:
        """Refuse a statement that the server would refuse, or worse, run outside."""
        if self.doomed:
            raise TransactionStateError(
                f"the transaction is lost ({self.reason}); "
                "only rollback() of the outermost transaction is possible"
            )
        if self.failed:
            raise TransactionStateError(
                f"the transaction failed ({self.reason}); "
                "roll back to a savepoint, or the transaction, before the next statement"
            )

    def require_active(self, scope: Scope) -> None:
        """Refuse a scope that has ended."""
        if not scope.is_active or scope not in self.scopes:
            what = f"savepoint {scope.name}" if scope.name else "transaction"
            raise TransactionStateError(f"this {what} has ended")

    def is_root(self, scope: Scope) -> bool:
        """Tell the transaction from a savepoint."""
        return self.scopes[0] is scope

    def leave(self, scope: Scope) -> None:
        """Take a savepoint and all within it off the stack."""
        at = self.scopes.index(scope)
        for inner in self.scopes[at:]:
            inner.is_active = False
        del self.scopes[at:]

    def fail(self, reason: str) -> None:
        """Only a rollback, to a savepoint or of everything, is accepted from now on."""
        self.failed = True
        self.reason = self.reason or reason

    def doom(self, reason: str) -> None:
        """Only the rollback of everything is accepted from now on."""
        self.doomed = True
        self.open = False
        self.reason = reason

    def heal(self) -> None:
        """A rollback to a savepoint went through."""
        self.failed = False
        self.reason = ""

    def ended_by_server(self, reason: str) -> bool:
        """Note that a statement that succeeded ended the transaction; True if it did real work.

        Without savepoints the next statement begins afresh; with them they are gone: doomed.
        """
        worked = self.worked
        if len(self.scopes) > 1:
            self.doom(reason)
        self.open = False
        self.worked = False
        return worked
