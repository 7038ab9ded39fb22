"""What an iteration of the alignment is made of, and when it ends.

The order of the steps is `alignment`'s. Where a question is answered:

- which images: ``level`` (a scan at one binning), ``bands`` (one that memory does not hold),
  ``cleaning`` (the detector's patterns, before the first iteration), ``backgrounds`` (offsets and
  ramps of single frames, where no vacuum shows), ``poses`` (shifts and turns);
- what they predict: ``evaluating`` (move, reconstruct, reproject, compare, by ``slabs``),
  ``reconstructing``, ``model`` (what came of it), ``kept`` (images that stay on a device),
  ``truncation`` (objects that leave the images), ``standing`` (all that together);
- the step: ``matching`` (register), ``refinement`` and ``whole_steps`` (angles and axis), ``steps``
  (its terms: cut-off, relaxation, centre of mass), ``acceleration``, ``weak_modes``, ``probing``;
  ``mass_trend`` (slow trends, once nothing moves any more);
- whom to trust, and when to stop: ``trust`` (frames), ``schedule`` (levels and the stop rule),
  ``resting`` (what is asked there), ``verdict`` (converged or not), ``retreat`` (a run that went
  astray), ``resuming``;
- how well it is known: ``standard_errors``, ``second_look``, ``template_noise``,
  ``geometry_errors``; what seems wrong, ``diagnosis``, ``distortion``, ``trials``;
- what is given out: ``outcome``, ``by_rows`` (images that memory does not hold).
"""
