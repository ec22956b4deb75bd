package io.panatron.runtime.train;

/**
 * The shape of a run.
 *
 * @param trainIterations optimizer steps in all, those before a resume included
 * @param microBatches micro-batches of a global batch on this rank
 * @param globalBatchSize samples of a step over all ranks
 * @param logInterval iterations between log rows; the first and the last are always logged
 * @param saveInterval iterations between checkpoints; the last is always saved
 * @param evalInterval iterations between evaluations
 */
public record TrainerSettings(
    long trainIterations,
    int microBatches,
    int globalBatchSize,
    int logInterval,
    long saveInterval,
    long evalInterval) {}
