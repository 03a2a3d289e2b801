"""The kiosk page and its static files, read once; a static file is found by its exact name, never by a path."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from agent.ports import Desk
from agent.web.reading import answered
from agent.web.refusal import Refusal

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Page:
    """Serves the page of one desk."""

    def __init__(self, desk: Desk) -> None:
        """Load template and static files."""
        self._desk = desk
        # Without async support a rendering is one synchronous step, and nothing of a template is ever fetched.
        env = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, auto_reload=False)
        self._template = env.get_template("page.html")
        self._static = {
            file.name: (file.read_bytes(), _TYPES[file.suffix])
            for file in (_HERE / "static").iterdir()
            if file.suffix in _TYPES
        }

    async def page(self, _request: Request) -> Response:
        """The page with the station's name and, for browsers without script, the bays as a list."""
        station = await answered(self._desk.station())
        bays = await answered(self._desk.bays())
        return HTMLResponse(self._template.render(station=station, bays=bays))

    async def static(self, request: Request) -> Response:
        """One static file."""
        found = self._static.get(str(request.path_params["name"]))
        if found is None:
            raise Refusal(404, "there is no such file")
        return Response(found[0], media_type=found[1])
