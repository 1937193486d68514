"""The program of a configuration whose model is built by somebody's own code."""

from __future__ import annotations

from caviar.snippets.source import Source, assigned, literal


def write(source: Source, remark: str = "") -> str:
    """The parameters, and how they and the weights become a model again.

    Args:
        source: The trial.
        remark: What else the reader must know, in a sentence.
    """
    # Messages repeat what somebody sent, which must not end the text that it stands in.
    safe = remark.replace("\\", "\\\\").replace('"', "'")
    told = f"\n{safe}\n" if safe else ""
    kept = (
        f"The service keeps its weights: `caviar weights {source.trial_id}` saves them as {source.weights_name}."
        if source.has_weights
        else "The service keeps no weights of it; those of the best trials of a study are kept."
    )
    return f'''"""{source.headline}
{told}
{kept}
"""

{assigned("params", source.params)}
{assigned("config", source.config)}


def rebuilt(build{", weights=" + literal(source.weights_name) if source.has_weights else ""}):
    """The Keras model of this trial.

    Args:
        build: Makes a model of parameters: that of the objective `{source.objective}`, made with `config`.
    """
    model = build(params)
{"    model.load_weights(weights)" + chr(10) if source.has_weights else ""}    return model
'''
