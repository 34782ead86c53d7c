"""What every number of a score means, in the words that its record and its manual page carry."""

DEFINITIONS = {
    "ignored_pixels": "Pixels that the label map leaves out (255, or what the legend ignores) "
    "count nowhere, whatever the mask says there. A mask without a class where the label map has "
    "one is an error, unless stitch --abstain made it.",
    "border": "With --ignore-border N, pixels less than N pixels from the edge of the micrograph "
    "are ignored as well. The edge itself, and the rim of ignored pixels, are no boundary; objects "
    "that they cut are objects as they stand.",
    "absent_class": "A class that is neither in the label map nor in the mask has no score "
    "(null), and is in no mean. A class that is in one of them alone has IoU and Dice 0, and "
    "counts.",
    "pooling": "pooled sums the pixels (boundary pixels, objects) of all micrographs and computes "
    "each score once; large micrographs weigh more.",
    "averaging": "mean_iou is the unweighted mean over classes that have an IoU. image_mean is "
    "the mean of a score over the micrographs in which it is defined, each with the same weight.",
    "iou": "Intersection over union of a class: pixels that are of it in label map and mask, over "
    "pixels that are of it in either.",
    "dice": "2 x common pixels over the pixels of the class in label map and mask, one added to "
    "the other; also F1. It is 2 IoU / (1 + IoU).",
    "precision": "Share of the pixels of a class in the mask that are of it in the label map; "
    "null where the mask lacks it.",
    "recall": "Share of the pixels of a class in the label map that are of it in the mask; null "
    "where the label map lacks it.",
    "accuracy": "Share of pixels with the right class; high for any mask when one class is common.",
    "kappa": "Cohen's kappa: (accuracy - chance) / (1 - chance), where chance is the accuracy of "
    "drawing pixels with the class fractions of the mask; null where both hold the same class "
    "alone.",
    "mcc": "Matthews correlation coefficient for any number of classes (Gorodkin 2004), from -1 "
    "to 1; null where label map or mask holds one class alone.",
    "boundary": "The boundary of a class are its pixels with a pixel of another class above, "
    "below, left or right. Distances are Euclidean, between the middles of pixels; in um, pixels "
    "have the size of --pixel-size, or else that with which the mask was made, or else that which "
    "the micrograph or the label map states.",
    "boundary_iou": "IoU of the rims of a class: its pixels less than the tolerance from a "
    "boundary, in label map and mask (Cheng et al. 2021, with the tolerance as width).",
    "boundary_f1": "Harmonic mean of boundary_precision, the share of the boundary pixels of the "
    "mask that lie at most the tolerance from the boundary of the class in the label map, and "
    "boundary_recall, the same the other way round; 0 where only one side has a boundary.",
    "hausdorff95": "95th percentile of the distances from each boundary pixel of a class, in "
    "label map and mask, to the nearest one of the other; null where one has none, and pooled "
    "leaves these out and counts them in n_unmatched.",
    "surface_distance": "Mean of the same distances (average symmetric surface distance).",
    "objects": "Pieces of a class that hang together over edges or corners. A piece of the mask "
    "and one of the label map match if their IoU is above 1/2, so each has one partner at most. "
    "precision is the share of the pieces of the mask with a partner, recall that of the label "
    "map, f1 = 2 matched / (all of both), matched_iou the mean IoU of the pairs.",
    "phase_fraction": "Share of the pixels that are not ignored; error is mask less label map.",
    "interval": "How far a pooled score would move with other micrographs (or specimens) of the "
    "same kind and, of several runs, in other runs; interval.method says how it was found, and "
    "interval.coverage how often such an interval held the true score in simulated studies. null "
    "below four of them.",
    "versus": "Scores of these masks less those of others of the same micrographs. p is the share "
    "of the ways to swap the two in whole micrographs (or specimens) that give as large a "
    "difference or a larger one, in either direction; p_holm is corrected for the number of "
    "comparisons, that of a class for the number of classes too. Each interval is of its score "
    "alone and found in another way, so that near 5 % it may leave out 0 where p does not say so; "
    "p_holm is what to go by. least_difference is what so many of them find in 80 of 100 studies "
    "of two models that differ from micrograph to micrograph as these two do.",
    "min_detectable": "The same of a model that is not at hand, which is taken to vary between "
    "micrographs as this one does and to correlate with it by assumed_correlation. Two models "
    "that are at hand may be more alike, or less, so that least_difference of versus, which is "
    "measured, is smaller or larger; where both are given, it counts for these two.",
    "variance": "The score of one micrograph in one run is a mean and a random part of each of: "
    "the micrograph; its group; the run; the fold, where all runs have the same; the training, "
    "which is one fold of one run, hence what chance in fitting does; and the rest, which none of "
    "them explains. sd is in the unit of the score. Parts that divide the scores alike cannot be "
    "told apart, and includes names those that are within another: with one run, fold has the "
    "chance of training in it, and micrograph the rest.",
    "abstention": "Pixels that stitch --abstain left without a class count nowhere; coverage is "
    "the share of the labelled pixels that have one, and every score is of these.",
    "calibration": "ece is the mean over pixels of the distance between the mean largest "
    "probability and the share of right pixels in their bin, of 20 equal bins (Guo et al. 2017); "
    "class_ece the same of the probability of each class. brier is the mean squared difference of "
    "probabilities and truth, summed over classes, from 0 to 2 (Brier 1950). expected_error is "
    "the mean of 1 less the largest probability. All are of the stitched probabilities.",
    "baselines": "majority gives the commonest class to every pixel; otsu cuts each micrograph "
    "at Otsu's thresholds, which come from its grey levels alone, and gives each region a class, "
    "the same in all, with the truth in hand: up to five classes as well as can be, beyond not "
    "every way is tried. Other thresholds may score more, as where a bright phase is rare. None "
    "of them learns, since that needs micrographs that are not scored: train --arch "
    "pixel-classifier makes such a baseline.",
}
