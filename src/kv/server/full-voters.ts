/** In a cluster with witnesses. Two and a witness can lose any one; one and a witness bear less than that one alone. */
export const fullVotersMin = 2;
