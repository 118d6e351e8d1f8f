"""Pages and cards from Jinja templates that lie beside the modules that fill them."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def template_environment(package: str, autoescape: bool) -> Environment:
    """Jinja's environment for the templates of one package, as `reports`.

    A name that a template is not given is an error, and a line that holds nothing but a statement
    leaves no line behind.

    Parameters
    ----------
    package
        The package's name below `modnet_keras`.
    autoescape
        Whether what is filled in is escaped for HTML.
    """
    return Environment(
        loader=PackageLoader("modnet_keras", package),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
