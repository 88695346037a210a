"""``crd``: the resource definition, ready for kubectl."""

import typer


def crd() -> None:
    """Print the CustomResourceDefinition of ImagePullSecret.

    imps-multi crd | kubectl apply --server-side -f -
    """
    from imps_multi.config.crd import crd_text

    typer.echo(crd_text(), nl=False)
