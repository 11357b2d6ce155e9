"""Whose methods somebody has looked at: the estimators of scikit-learn that a safe format may hold.

A file in a safe format holds any numbers, and compiled code trusts them. Each estimator here was asked with ten to some
hundred wrong ones, one at a time, with every block of memory between pages that may not be touched (but for
FrozenEstimator, which only passes on): none was seen to read or write outside of its arrays that
`slipway.registry.gate.safety.native_content` does not refuse. An estimator that a newer scikit-learn brings is not here
until the same was done for it.
"""

from collections.abc import Mapping

# Of scikit-learn 1.9, by the module in which each is.
BY_MODULE: Mapping[str, str] = {
    "calibration": "CalibratedClassifierCV",
    "cluster._affinity_propagation": "AffinityPropagation",
    "cluster._agglomerative": "AgglomerativeClustering FeatureAgglomeration",
    "cluster._bicluster": "SpectralBiclustering SpectralCoclustering",
    "cluster._birch": "Birch",
    "cluster._bisect_k_means": "BisectingKMeans",
    "cluster._dbscan": "DBSCAN",
    "cluster._hdbscan.hdbscan": "HDBSCAN",
    "cluster._kmeans": "KMeans MiniBatchKMeans",
    "cluster._mean_shift": "MeanShift",
    "cluster._optics": "OPTICS",
    "cluster._spectral": "SpectralClustering",
    "compose._column_transformer": "ColumnTransformer",
    "compose._target": "TransformedTargetRegressor",
    "covariance._elliptic_envelope": "EllipticEnvelope",
    "covariance._empirical_covariance": "EmpiricalCovariance",
    "covariance._graph_lasso": "GraphicalLasso GraphicalLassoCV",
    "covariance._robust_covariance": "MinCovDet",
    "covariance._shrunk_covariance": "LedoitWolf OAS ShrunkCovariance",
    "cross_decomposition._pls": "CCA PLSCanonical PLSRegression PLSSVD",
    "decomposition._dict_learning": "DictionaryLearning MiniBatchDictionaryLearning SparseCoder",
    "decomposition._factor_analysis": "FactorAnalysis",
    "decomposition._fastica": "FastICA",
    "decomposition._incremental_pca": "IncrementalPCA",
    "decomposition._kernel_pca": "KernelPCA",
    "decomposition._lda": "LatentDirichletAllocation",
    "decomposition._nmf": "MiniBatchNMF NMF",
    "decomposition._pca": "PCA",
    "decomposition._sparse_pca": "MiniBatchSparsePCA SparsePCA",
    "decomposition._truncated_svd": "TruncatedSVD",
    "discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "dummy": "DummyClassifier DummyRegressor",
    "ensemble._bagging": "BaggingClassifier BaggingRegressor",
    "ensemble._forest": (
        "ExtraTreesClassifier ExtraTreesRegressor RandomForestClassifier RandomForestRegressor RandomTreesEmbedding"
    ),
    "ensemble._gb": "GradientBoostingClassifier GradientBoostingRegressor",
    "ensemble._hist_gradient_boosting.gradient_boosting": (
        "HistGradientBoostingClassifier HistGradientBoostingRegressor"
    ),
    "ensemble._iforest": "IsolationForest",
    "ensemble._stacking": "StackingClassifier StackingRegressor",
    "ensemble._voting": "VotingClassifier VotingRegressor",
    "ensemble._weight_boosting": "AdaBoostClassifier AdaBoostRegressor",
    "feature_extraction._dict_vectorizer": "DictVectorizer",
    "feature_extraction._hash": "FeatureHasher",
    "feature_extraction.image": "PatchExtractor",
    "feature_extraction.text": "CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer",
    "feature_selection._from_model": "SelectFromModel",
    "feature_selection._rfe": "RFE RFECV",
    "feature_selection._sequential": "SequentialFeatureSelector",
    "feature_selection._univariate_selection": (
        "GenericUnivariateSelect SelectFdr SelectFpr SelectFwe SelectKBest SelectPercentile"
    ),
    "feature_selection._variance_threshold": "VarianceThreshold",
    "frozen._frozen": "FrozenEstimator",
    "gaussian_process._gpc": "GaussianProcessClassifier",
    "gaussian_process._gpr": "GaussianProcessRegressor",
    "impute._base": "MissingIndicator SimpleImputer",
    "impute._iterative": "IterativeImputer",
    "impute._knn": "KNNImputer",
    "isotonic": "IsotonicRegression",
    "kernel_approximation": "AdditiveChi2Sampler Nystroem PolynomialCountSketch RBFSampler SkewedChi2Sampler",
    "kernel_ridge": "KernelRidge",
    "linear_model._base": "LinearRegression",
    "linear_model._bayes": "ARDRegression BayesianRidge",
    "linear_model._coordinate_descent": (
        "ElasticNet ElasticNetCV Lasso LassoCV MultiTaskElasticNet MultiTaskElasticNetCV MultiTaskLasso "
        "MultiTaskLassoCV"
    ),
    "linear_model._glm.glm": "GammaRegressor PoissonRegressor TweedieRegressor",
    "linear_model._huber": "HuberRegressor",
    "linear_model._least_angle": "Lars LarsCV LassoLars LassoLarsCV LassoLarsIC",
    "linear_model._logistic": "LogisticRegression LogisticRegressionCV",
    "linear_model._omp": "OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV",
    "linear_model._passive_aggressive": "PassiveAggressiveClassifier PassiveAggressiveRegressor",
    "linear_model._perceptron": "Perceptron",
    "linear_model._quantile": "QuantileRegressor",
    "linear_model._ransac": "RANSACRegressor",
    "linear_model._ridge": "Ridge RidgeCV RidgeClassifier RidgeClassifierCV",
    "linear_model._stochastic_gradient": "SGDClassifier SGDOneClassSVM SGDRegressor",
    "linear_model._theil_sen": "TheilSenRegressor",
    "manifold._classical_mds": "ClassicalMDS",
    "manifold._isomap": "Isomap",
    "manifold._locally_linear": "LocallyLinearEmbedding",
    "manifold._mds": "MDS",
    "manifold._spectral_embedding": "SpectralEmbedding",
    "manifold._t_sne": "TSNE",
    "mixture._bayesian_mixture": "BayesianGaussianMixture",
    "mixture._gaussian_mixture": "GaussianMixture",
    "model_selection._classification_threshold": "FixedThresholdClassifier TunedThresholdClassifierCV",
    "model_selection._search": "GridSearchCV RandomizedSearchCV",
    "model_selection._search_successive_halving": "HalvingGridSearchCV HalvingRandomSearchCV",
    "multiclass": "OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier",
    "multioutput": "ClassifierChain MultiOutputClassifier MultiOutputRegressor RegressorChain",
    "naive_bayes": "BernoulliNB CategoricalNB ComplementNB GaussianNB MultinomialNB",
    "neighbors._classification": "KNeighborsClassifier RadiusNeighborsClassifier",
    "neighbors._graph": "KNeighborsTransformer RadiusNeighborsTransformer",
    "neighbors._kde": "KernelDensity",
    "neighbors._lof": "LocalOutlierFactor",
    "neighbors._nca": "NeighborhoodComponentsAnalysis",
    "neighbors._nearest_centroid": "NearestCentroid",
    "neighbors._regression": "KNeighborsRegressor RadiusNeighborsRegressor",
    "neighbors._unsupervised": "NearestNeighbors",
    "neural_network._multilayer_perceptron": "MLPClassifier MLPRegressor",
    "neural_network._rbm": "BernoulliRBM",
    "pipeline": "FeatureUnion Pipeline",
    "preprocessing._data": (
        "Binarizer KernelCenterer MaxAbsScaler MinMaxScaler Normalizer PowerTransformer QuantileTransformer "
        "RobustScaler StandardScaler"
    ),
    "preprocessing._discretization": "KBinsDiscretizer",
    "preprocessing._encoders": "OneHotEncoder OrdinalEncoder",
    "preprocessing._function_transformer": "FunctionTransformer",
    "preprocessing._label": "LabelBinarizer LabelEncoder MultiLabelBinarizer",
    "preprocessing._polynomial": "PolynomialFeatures SplineTransformer",
    "preprocessing._target_encoder": "TargetEncoder",
    "random_projection": "GaussianRandomProjection SparseRandomProjection",
    "semi_supervised._label_propagation": "LabelPropagation LabelSpreading",
    "semi_supervised._self_training": "SelfTrainingClassifier",
    "svm._classes": "LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR",
    "tree._classes": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor",
}
REVIEWED_ESTIMATORS = frozenset(
    f"sklearn.{module}.{name}" for module, names in BY_MODULE.items() for name in names.split()
)
