"""``crd``: the resource definition, ready for kubectl."""

from imps_multi.cli.output import Format, Output, print_text


def crd(output: Output = Format.YAML) -> None:
    """Print the CustomResourceDefinition of ImagePullSecret.

    imps-multi crd | kubectl apply --server-side -f -
    """
    from imps_multi.config.crd import crd_text

    print_text(crd_text(), output)
