"""Files of trials: checkpoints, which workers store and fetch, and weights, which people download.

Bodies are the bytes of the files. They pass through in portions, so these routes have a limit of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response, status
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from caviar.contract.errors import RequestError
from caviar.contract.views import ArtifactView
from service.api.dependencies import TrialId
from service.api.tables import DOWNLOADED
from service.use_cases.keeping import Incoming, Keeper, Outgoing

router = APIRouter()


async def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.keeper
    return keeper.acting_for(request.state.principal)


BINARY = "application/octet-stream"
_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
}
_SENT: dict[str, Any] = {
    **DOWNLOADED,
    "ETag": {"description": "Digest of the file, quoted.", "required": True, "schema": {"type": "string"}},
    "Caviar-SHA256": {
        "description": "SHA-256 of the file, in hexadecimal digits.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "Caviar-Epoch": {
        "description": "The last epoch that the file holds.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}},
        "headers": _SENT,
    }
}
_STORED: dict[int | str, dict[str, Any]] = {200: {"model": ArtifactView}}

CurrentKeeper = Annotated[Keeper, Depends(_keeper)]
Epoch = Annotated[int, Path(description="The last epoch that the checkpoint holds.", ge=1, le=1_000_000, examples=[8])]
BestEpoch = Annotated[
    int, Header(alias="Caviar-Epoch", description="The epoch that the weights are of.", ge=1, le=1_000_000)
]
Lease = Annotated[str, Header(alias="Caviar-Lease", description="Lease token of the trial.", pattern=r"^[!-~]{1,100}$")]
OptionalLease = Annotated[
    str | None,
    Header(
        alias="Caviar-Lease", description="Lease token of the trial; left out by people.", pattern=r"^[!-~]{1,100}$"
    ),
]
Digest = Annotated[
    str,
    Header(alias="Caviar-SHA256", description="SHA-256 of the body, in hexadecimal digits.", pattern="^[0-9a-f]{64}$"),
]


@router.put(
    "/trials/{trial_id}/checkpoints/{epoch}",
    tags=["worker wire"],
    status_code=status.HTTP_201_CREATED,
    responses=_STORED,
    openapi_extra=_BODY,
)
async def store_checkpoint(
    *,
    keeper: CurrentKeeper,
    trial_id: TrialId,
    epoch: Epoch,
    lease: Lease,
    sha256: Digest,
    request: Request,
    response: Response,
) -> ArtifactView:
    """Store what a trial can go on from after an epoch. The same file again answers 200 and changes nothing."""
    incoming = Incoming(trial_id, "checkpoint", epoch, lease, sha256, _content_length(request))
    return await _keep(keeper, incoming, request, response)


@router.get("/trials/{trial_id}/checkpoints/{epoch}", tags=["worker wire"], response_class=Response, responses=_FILE)
async def read_checkpoint(
    keeper: CurrentKeeper, trial_id: TrialId, epoch: Epoch, lease: OptionalLease = None
) -> StreamingResponse:
    """Fetch the checkpoint that an assignment names, with the lease of that assignment; people need no lease."""
    return _sent(await keeper.checkpoint(trial_id, epoch, lease), f"trial-{trial_id}-epoch-{epoch}.npz")


@router.put(
    "/trials/{trial_id}/weights",
    tags=["worker wire"],
    status_code=status.HTTP_201_CREATED,
    responses=_STORED,
    openapi_extra=_BODY,
)
async def store_weights(
    *,
    keeper: CurrentKeeper,
    trial_id: TrialId,
    epoch: BestEpoch,
    lease: Lease,
    sha256: Digest,
    request: Request,
    response: Response,
) -> ArtifactView:
    """Store the weights of a trial's best epoch, also after the trial has ended."""
    incoming = Incoming(trial_id, "weights", epoch, lease, sha256, _content_length(request))
    return await _keep(keeper, incoming, request, response)


@router.get("/trials/{trial_id}/weights", tags=["trials"], response_class=Response, responses=_FILE)
async def read_weights(keeper: CurrentKeeper, trial_id: TrialId) -> StreamingResponse:
    """Download the weights of a trial's best epoch, Keras's `.weights.h5`; those of the best trials are kept."""
    return _sent(await keeper.weights(trial_id), f"trial-{trial_id}.weights.h5")


async def _keep(keeper: Keeper, incoming: Incoming, request: Request, response: Response) -> ArtifactView:
    view, is_new = await keeper.keep(incoming, _body(request))
    if not is_new:
        response.status_code = status.HTTP_200_OK
    return view


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for portion in request.stream():
            yield portion
    except ClientDisconnect as error:
        raise RequestError("the connection ended before the file was whole; nothing was stored") from error


def _content_length(request: Request) -> int | None:
    told = request.headers.get("content-length", "")
    return int(told) if told.isdecimal() and len(told) <= 100 else None


def _sent(outgoing: Outgoing, name: str) -> StreamingResponse:
    view = outgoing.view
    headers = {
        "Content-Length": str(view.size_bytes),
        "Content-Disposition": f'attachment; filename="{name}"',
        "ETag": f'"{view.sha256}"',
        "Caviar-SHA256": view.sha256,
        "Caviar-Epoch": str(view.epoch),
    }
    return StreamingResponse(outgoing.portions, media_type=BINARY, headers=headers)
